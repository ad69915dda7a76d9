import type { Resource } from '../../platform/resources/resource.ts';
import { detectorConfigs } from './detector-configs.ts';
import { routingPlans } from './routing-plans.ts';

/** The domain's declared resources; its routes and their tests follow from this list. */
export const orchestrationResources: readonly Resource[] = [routingPlans, detectorConfigs];
