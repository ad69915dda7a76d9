import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const mappingTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'mapper_responses',
    key: ['request_id'],
    // Only compares a repeated response with this one.
    export: { leaveOut: ['fingerprint'] },
  }),
  tenantTable('core', {
    table: 'mapper_requests',
    person: { reviewed_by: 'pseudonym' },
    key: ['request_id'],
    export: { sealed: [{ column: 'source_data', keyId: 'encryption_key_id', boundTo: 'request_id' }] },
  }),
];
