import { knownPermissions, type Permission } from '../../../platform/auth/permissions.ts';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';

/** A role that a person has in a tenant at an instant. */
export interface LiveAssignment {
  readonly role_name: string;
  readonly source: 'assigned' | 'token';
  readonly expires_at: string | null;
  /** What the role gives; nothing if it is gone. */
  readonly permissions: ReadonlySet<Permission>;
}

/** Locks and returns the roles that a person has in a tenant, in one order. None: the person is no member. */
export async function lockLiveAssignments(
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
  userId: string,
  now: Date,
): Promise<LiveAssignment[]> {
  const rows = await transaction.query<LiveAssignment & Record<string, unknown>>(
    `select a.role_name, a.source, a.expires_at, r.permissions
       from user_role_assignments a
       left join user_roles r on r.role_name = a.role_name and r.tenant_id in (a.tenant_id, '${PLATFORM_TENANT}')
      where a.tenant_id = $1 and a.user_id = $2 and a.is_active and (a.expires_at is null or a.expires_at > $3)
      order by a.role_name, a.source for update of a`,
    [tenantId, userId, now],
  );
  return rows.map(({ role_name, source, expires_at, permissions }) => ({
    role_name,
    source,
    expires_at,
    permissions: knownPermissions(permissions),
  }));
}
