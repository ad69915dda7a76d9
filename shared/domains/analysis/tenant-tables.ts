import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const analysisTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'analysis_responses',
    key: ['request_id'],
    // Only compares a repeated response with this one.
    export: { leaveOut: ['fingerprint'] },
  }),
  tenantTable('core', { table: 'analysis_requests', key: ['request_id'] }),
  tenantTable('core', { table: 'analysis_metrics', key: ['id'] }),
];
