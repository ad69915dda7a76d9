import { analysisResources } from '../../shared/domains/analysis/resources.ts';
import { analyticsResources } from '../../shared/domains/analytics/resources.ts';
import { billingResources } from '../../shared/domains/billing/resources.ts';
import { mappingResources } from '../../shared/domains/mapping/resources.ts';
import { orchestrationResources } from '../../shared/domains/orchestration/resources.ts';
import { retentionResources } from '../../shared/domains/retention/resources.ts';
import { expiringTables } from '../../functions/expiring-tables.ts';
import type { Resource } from '../../shared/platform/resources/resource.ts';

/**
 * Every declared resource of the app. The tests of all routes are made from this list: a resource that is served and not in
 * it has routes that none of them covers, and they say so.
 */
export const DECLARED: readonly Resource[] = [
  ...analysisResources,
  ...analyticsResources,
  ...billingResources,
  ...mappingResources,
  ...orchestrationResources,
  ...retentionResources(expiringTables),
];

/** The OpenAPI operations of a resource's own routes. */
export function operationsOf({ name, verbs }: Resource): string[] {
  return verbs.map((verb) => `${name}-${verb}`);
}
