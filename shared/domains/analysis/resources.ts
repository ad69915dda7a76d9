import type { Resource } from '../../platform/resources/resource.ts';
import { analysisTemplates } from './analysis-templates.ts';

/** The domain's declared resources; its routes and their tests follow from this list. */
export const analysisResources: readonly Resource[] = [analysisTemplates];
