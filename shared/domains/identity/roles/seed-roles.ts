import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { PERMISSION_SETS } from '../../../platform/auth/permissions.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';

/** The role of a tenant's owners. A tenant that has had one keeps at least one. */
export const OWNER_ROLE_NAME = 'admin';

/** The role of people who operate the platform. Only the platform's own tenant has it, and keeps at least one such person too. */
export const OPERATOR_ROLE_NAME = 'operator';

const SEEDED = [
  [
    'admin',
    PERMISSION_SETS.owner,
    'Everything that a tenant may do. People with this role and no end are its owners.',
  ],
  ['user', PERMISSION_SETS.writer, 'Reads, and records evidence.'],
  ['viewer', PERMISSION_SETS.reader, 'Reads everything except sources.'],
  ['billing_admin', PERMISSION_SETS.billing_admin, 'The subscription, what it costs and what is used of it.'],
  [
    'auditor',
    PERMISSION_SETS.auditor,
    'Sees everything, denied attempts and sources too, and changes nothing.',
  ],
  [
    'operator',
    PERMISSION_SETS.operator,
    'Operates the platform. Only people of the platform’s own tenant can have it.',
  ],
] as const;

const ROLES = recordset({ role_name: 'text', description: 'text', permissions: 'jsonb' });

/** Seeds the roles that every tenant has. A release that changes a role's permissions changes them here. */
export async function seedRoles(transaction: CrossTenantTransaction): Promise<void> {
  const rows = SEEDED.map(([role_name, permissions, description]) => ({
    role_name,
    permissions,
    description,
  }));
  await transaction.query(
    `insert into user_roles (tenant_id, role_name, description, permissions, is_system_role)
     select $1, r.role_name, r.description, r.permissions, true from ${ROLES.from('r', 2)}
     on conflict (tenant_id, role_name) do update
       set description = excluded.description, permissions = excluded.permissions, updated_at = now(),
           version = user_roles.version + 1
       where (user_roles.description, user_roles.permissions) is distinct from (excluded.description, excluded.permissions)`,
    [PLATFORM_TENANT, ...ROLES.parameters(rows)],
  );
}
