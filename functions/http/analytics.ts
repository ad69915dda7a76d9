import { analyticsResources } from '../../shared/domains/analytics/resources.ts';
import { resourceEndpoints } from '../../shared/platform/resources/resource-endpoints.ts';

export const analyticsEndpoints = resourceEndpoints(analyticsResources);
