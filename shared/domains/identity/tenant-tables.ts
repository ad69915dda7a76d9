import { tenantTable, type TenantTable } from '../../platform/tenant-data/tenant-table.ts';

/** Of a member now. Who has left is the tenant's no longer, and an account may be other tenants' too. */
const ofMember = (column: string): string =>
  `(select u.${column} from users u
     where u.user_id = t.user_id and t.is_active and (t.expires_at is null or t.expires_at > now()))`;

export const identityTables: readonly TenantTable[] = [
  tenantTable('core', {
    table: 'api_keys',
    key: ['key_id'],
    // A key of nobody who is known has no permissions, so it stays without any until somebody adopts it.
    person: { made_by_user: 'pseudonym', created_by: 'pseudonym' },
    // The hash of the secret, and the beginning of the key.
    export: { leaveOut: ['key_hash', 'key_prefix', 'pepper_id'] },
  }),
  // The hash of a token, here and below.
  tenantTable('core', {
    table: 'user_sessions',
    key: ['session_id'],
    export: { leaveOut: ['token_hash'] },
    person: { user_id: 'delete', revoked_by: 'pseudonym' },
  }),
  tenantTable('core', {
    table: 'ops.invitations',
    key: ['invitation_id'],
    person: {
      email: 'delete',
      accepted_by: 'delete',
      invited_by: 'pseudonym',
      invited_by_user: 'pseudonym',
      revoked_by: 'pseudonym',
    },
    export: { leaveOut: ['token_hash'] },
  }),
  tenantTable('core', {
    table: 'user_role_assignments',
    key: ['user_id', 'role_name', 'source'],
    // Accounts have no tenant. Without this, nobody could tell whose roles these are.
    export: {
      also: {
        email: ofMember('email'),
        first_name: ofMember('first_name'),
        last_name: ofMember('last_name'),
      },
    },
    person: { user_id: 'delete', assigned_by: 'pseudonym', ended_by: 'pseudonym' },
  }),
  tenantTable('core', { table: 'user_roles', key: ['role_name'] }),
];
