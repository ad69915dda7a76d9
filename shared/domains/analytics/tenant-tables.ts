import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const analyticsTables: readonly TenantTable[] = [
  // Declared as a resource too. Its id is not the key that its rows are ordered by.
  tenantTable('analytics', {
    table: 'usage_metrics',
    key: ['metric_name', 'granularity', 'period_start', 'metric_unit'],
  }),
  tenantTable('analytics', {
    table: 'ops.consumed_events',
    key: ['event_source', 'event_id'],
    export: { not: 'Which events are counted already. The counts are exported.' },
  }),
];
