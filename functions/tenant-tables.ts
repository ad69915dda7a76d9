import { analysisTables } from '../shared/domains/analysis/tenant-tables.ts';
import { analyticsTables } from '../shared/domains/analytics/tenant-tables.ts';
import { auditTables } from '../shared/domains/audit/tenant-tables.ts';
import { billingTables } from '../shared/domains/billing/tenant-tables.ts';
import { erasureTables } from '../shared/domains/erasure/tenant-tables.ts';
import { identityTables } from '../shared/domains/identity/tenant-tables.ts';
import { mappingTables } from '../shared/domains/mapping/tenant-tables.ts';
import { orchestrationTables } from '../shared/domains/orchestration/tenant-tables.ts';
import { recordsTables } from '../shared/domains/records/tenant-tables.ts';
import { tenancyTables } from '../shared/domains/tenancy/tenant-tables.ts';
import { webhooksTables } from '../shared/domains/webhooks/tenant-tables.ts';
import { platformTables } from '../shared/platform/tenant-data/platform-tables.ts';
import { tablesOfResources } from '../shared/platform/tenant-data/resource-tables.ts';
import type { TenantTable } from '../shared/platform/tenant-data/tenant-table.ts';
import { declaredResources } from './declared-resources.ts';

const declared: readonly TenantTable[] = [
  ...recordsTables,
  ...mappingTables,
  ...orchestrationTables,
  ...analysisTables,
  ...analyticsTables,
  ...billingTables,
  ...webhooksTables,
  ...identityTables,
  ...auditTables,
  ...tenancyTables,
  ...erasureTables,
  ...platformTables,
];

/** Every table with tenants' rows, in the order in which an erased tenant's rows go. Declared resources need no line here. */
export const tenantTables: readonly TenantTable[] = [
  ...tablesOfResources(declaredResources, declared),
  ...declared,
];
