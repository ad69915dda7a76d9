import { alertResources } from '../shared/domains/alerts/resources.ts';
import { analysisResources } from '../shared/domains/analysis/resources.ts';
import { analyticsResources } from '../shared/domains/analytics/resources.ts';
import { billingResources } from '../shared/domains/billing/catalog/resources.ts';
import { mappingResources } from '../shared/domains/mapping/resources.ts';
import { orchestrationResources } from '../shared/domains/orchestration/resources.ts';
import { retentionResources } from '../shared/domains/retention/resources.ts';
import type { Resource } from '../shared/platform/resources/resource.ts';
import { expiringTables } from './expiring-tables.ts';

/**
 * All declared resources of the app, in the order of the API's document. The routes, the document's groups and the tests of
 * all routes come from this list. A new resource of a listed domain needs no line here.
 */
export const declaredResources: readonly Resource[] = [
  ...orchestrationResources,
  ...mappingResources,
  ...analysisResources,
  ...analyticsResources,
  ...alertResources,
  ...retentionResources(expiringTables),
  ...billingResources,
];
