import { knownPermissions, type Permission } from '../../../platform/auth/permissions.ts';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { OPERATOR_ROLE_NAME } from './seed-roles.ts';

/** Locks a tenant's own roles of these names until the end of the transaction: meanwhile nobody can change or delete them. */
export async function lockOwnRoles(
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
  names: readonly string[],
): Promise<void> {
  await transaction.query(
    `select 1 as one from user_roles where tenant_id = $1 and role_name = any($2::text[]) order by role_name for share`,
    [tenantId, names],
  );
}

/**
 * What the named roles of a tenant give together. A tenant's own ones are locked, see {@link lockOwnRoles}.
 * @throws Problem 400 that names the roles that do not exist; `operator` exists only in the platform's tenant.
 */
export async function requireRoles(
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
  names: readonly string[],
  pointerOf: (at: number) => string,
): Promise<ReadonlySet<Permission>> {
  await lockOwnRoles(transaction, tenantId, names);
  const rows = await transaction.query<{ role_name: string; permissions: unknown }>(
    `select r.role_name, r.permissions from user_roles r where r.tenant_id in ($1, '${PLATFORM_TENANT}') and r.role_name = any($2::text[])`,
    [tenantId, names],
  );
  const found = rows.filter(
    ({ role_name: name }) => name !== OPERATOR_ROLE_NAME || tenantId === PLATFORM_TENANT,
  );
  const errors = names.flatMap((name, at) =>
    found.some((row) => row.role_name === name)
      ? []
      : [{ pointer: pointerOf(at), detail: 'is no role of this tenant' }],
  );
  if (errors.length > 0) throw new Problem('INVALID_REQUEST', { errors });
  return new Set(found.flatMap(({ permissions }) => [...knownPermissions(permissions)]));
}
