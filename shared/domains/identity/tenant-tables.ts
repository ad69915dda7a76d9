import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const identityTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'api_keys',
    key: ['key_id'],
    // The hash of the secret, and the beginning of the key.
    export: { leaveOut: ['key_hash', 'key_prefix'] },
  }),
];
