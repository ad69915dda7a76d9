import type { Resource } from '../../platform/resources/resource.ts';
import type { ExpiringTable } from './expiring-table.ts';
import { legalHoldsOver } from './legal-holds.ts';
import { dataRetentionPolicies } from './retention-policies.ts';

/** The domain's declared resources; its routes and their tests follow from this list. `tables` are those that expire. */
export function retentionResources(tables: readonly ExpiringTable[]): readonly Resource[] {
  return [dataRetentionPolicies, legalHoldsOver(tables)];
}
