import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

export const identityTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'api_keys',
    key: ['key_id'],
    // The hash of the secret, and the beginning of the key.
    export: { leaveOut: ['key_hash', 'key_prefix', 'pepper_id'] },
  }),
  // The hash of a token, here and below.
  tenantTable('core', { table: 'user_sessions', key: ['session_id'], export: { leaveOut: ['token_hash'] } }),
  tenantTable('core', {
    table: 'ops.invitations',
    key: ['invitation_id'],
    export: { leaveOut: ['token_hash'] },
  }),
  tenantTable('core', { table: 'user_role_assignments', key: ['user_id', 'role_name', 'source'] }),
  tenantTable('core', { table: 'user_roles', key: ['role_name'] }),
];
