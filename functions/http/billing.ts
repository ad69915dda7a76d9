import { billingResources } from '../../shared/domains/billing/resources.ts';
import { resourceEndpoints } from '../../shared/platform/resources/resource-endpoints.ts';

export const billingEndpoints = resourceEndpoints(billingResources);
