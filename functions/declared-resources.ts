import { analysisResources } from '../shared/domains/analysis/resources.ts';
import { analyticsResources } from '../shared/domains/analytics/resources.ts';
import { billingResources } from '../shared/domains/billing/resources.ts';
import { mappingResources } from '../shared/domains/mapping/resources.ts';
import { orchestrationResources } from '../shared/domains/orchestration/resources.ts';
import { retentionResources } from '../shared/domains/retention/resources.ts';
import type { Resource } from '../shared/platform/resources/resource.ts';
import { expiringTables } from './expiring-tables.ts';

/**
 * Every declared resource of the app, in the order in which the API's document shows them. Routes, the document's groups and
 * the tests of all routes are made from this list; a domain's later resources need no line here.
 */
export const declaredResources: readonly Resource[] = [
  ...orchestrationResources,
  ...mappingResources,
  ...analysisResources,
  ...analyticsResources,
  ...retentionResources(expiringTables),
  ...billingResources,
];
