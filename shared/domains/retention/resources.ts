import type { Resource } from '../../platform/resources/resource.ts';
import type { ExpiringTable } from './expiring-table.ts';
import { legalHoldsOver } from './legal-holds.ts';
import { dataRetentionPolicies } from './retention-policies.ts';

/** The domain's declared resources, over the tables that expire; its routes and their tests follow from this list. */
export function retentionResources(tables: readonly ExpiringTable[]): readonly Resource[] {
  return [dataRetentionPolicies, legalHoldsOver(tables)];
}
