import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const recordsTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'storage_records',
    key: ['id', 'partition_day'],
    export: { sealed: [{ column: 'source_data', keyId: 'encryption_key_id', boundTo: 'source_id' }] },
  }),
  tenantTable('core', {
    table: 'ops.blobs',
    key: ['container_name', 'blob_name'],
  }),
];
