import type { Resource } from '../../platform/resources/resource.ts';
import { complianceMappings } from './compliance-mappings.ts';
import { modelVersions } from './model-versions.ts';
import { taxonomyLabels } from './taxonomy-labels.ts';

/** The domain's declared resources; its routes and their tests follow from this list. */
export const mappingResources: readonly Resource[] = [taxonomyLabels, complianceMappings, modelVersions];
