import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { rolesOf } from '../../../platform/auth/identity-provider.ts';

/**
 * Refuses to delete a role that is in use. The caller has locked the role, and whoever gives it locks it too, so it cannot be given
 * meanwhile.
 * @throws Problem 409 that says who uses it.
 */
export async function requireRoleUnused(
  call: Call,
  transaction: TenantTransaction,
  name: string,
): Promise<void> {
  const { tenantId } = call.tenant;
  const [uses] = await transaction.query<{ assigned: boolean; invited: boolean }>(
    `select exists (select from user_role_assignments a where a.tenant_id = $1 and a.role_name = $2 and a.is_active
                      and (a.expires_at is null or a.expires_at > $3)) as assigned,
            exists (select from ops.invitations i where i.tenant_id = $1 and $2 = any(i.roles) and i.accepted_at is null
                      and i.revoked_at is null and i.expires_at > $3) as invited`,
    [tenantId, name, call.now],
  );
  const users = [
    ...(uses?.assigned === true ? ['somebody has it'] : []),
    ...(uses?.invited === true ? ['a pending invitation names it'] : []),
    ...((await isMapped(call, name)) ? ['the tenant’s identity_providers give it'] : []),
  ];
  if (users.length > 0)
    throw new Problem('CONFLICT', { detail: `The role cannot be deleted: ${users.join(', ')}.` });
}

/** Whether the tenant's settings, read now, map a claim of its identity provider to the role. */
async function isMapped({ services, tenant }: Call, name: string): Promise<boolean> {
  services.tenants.forget(tenant.tenantId);
  const context = await services.tenants.find(tenant.tenantId);
  return context?.config.identity_providers.some((provider) => rolesOf(provider).includes(name)) ?? false;
}
