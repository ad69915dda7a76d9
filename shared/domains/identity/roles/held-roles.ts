import { z } from 'zod';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { knownPermissions, type Permission } from '../../../platform/auth/permissions.ts';

/** A role that a person has in a tenant. */
const heldRole = z.object({
  role: z.string(),
  permissions: z.unknown(),
  source: z.enum(['assigned', 'token']),
  expires_at: z.string().nullable(),
});

const heldRoles = z.array(heldRole);

export type HeldRole = z.output<typeof heldRole>;

/** SQL: what a role gives in a tenant. Whatever gives it there, nobody operates the platform from another tenant. */
export function permissionsInSql(role: string, tenantId: string): string {
  return `case when ${tenantId} = '${PLATFORM_TENANT}' then ${role}.permissions else ${role}.permissions - 'platform:operate' end`;
}

/**
 * SQL: the roles that a person has in a tenant, as JSON for {@link readHeldRoles}. Ended assignments are left out; those with an
 * end say when it is.
 */
export function heldRolesSql(tenantId: string, userId: string): string {
  return `(select coalesce(json_agg(json_build_object('role', a.role_name, 'permissions',
              ${permissionsInSql('r', 'a.tenant_id')}, 'source', a.source, 'expires_at', a.expires_at) order by a.role_name), '[]')
     from user_role_assignments a
     join user_roles r on r.role_name = a.role_name and r.tenant_id in (a.tenant_id, '${PLATFORM_TENANT}')
    where a.tenant_id = ${tenantId} and a.user_id = ${userId} and a.is_active)`;
}

/** SQL: the roles of the maker of a row of `api_keys`, none for one who is not active; null for a key without a maker. */
export function makerHeldSql(key: string): string {
  return `case when ${key}.made_by_user is not null then
    case when exists (select from users u where u.user_id = ${key}.made_by_user and u.is_active)
      then ${heldRolesSql(`${key}.tenant_id`, `${key}.made_by_user`)} else '[]' end end`;
}

/** Reads what {@link heldRolesSql} returned. */
export function readHeldRoles(stored: unknown): readonly HeldRole[] {
  return heldRoles.parse(stored);
}

/** What a person may do at an instant. */
export interface Rights {
  /** The names of the roles. */
  readonly roles: readonly string[];
  readonly permissions: ReadonlySet<Permission>;
  /** When the next role ends; null if none does. */
  readonly until: Date | null;
}

/** The rights from roles at an instant. A role whose end has come gives none. */
function rightsAt(held: readonly HeldRole[], now: Date): Rights {
  const live = held.filter(({ expires_at }) => expires_at === null || Date.parse(expires_at) > now.getTime());
  const ends = live.flatMap(({ expires_at }) => (expires_at === null ? [] : [Date.parse(expires_at)]));
  return {
    roles: [...new Set(live.map(({ role }) => role))],
    permissions: new Set(live.flatMap(({ permissions }) => [...knownPermissions(permissions)])),
    until: ends.length === 0 ? null : new Date(Math.min(...ends)),
  };
}

/** Until when each permission is held; null for good. What is not held is absent. */
export function heldUntil(held: readonly HeldRole[], now: Date): ReadonlyMap<Permission, Date | null> {
  const ends = new Map<Permission, Date | null>();
  for (const { permissions, expires_at } of held) {
    const end = expires_at === null ? null : new Date(expires_at);
    if (end !== null && end <= now) continue;
    for (const permission of knownPermissions(permissions)) {
      const known = ends.get(permission);
      if (known === undefined || (known !== null && (end === null || end > known))) ends.set(permission, end);
    }
  }
  return ends;
}

/** A person's rights, computed again only when a role ends. */
export class LastingRights {
  readonly #held: readonly HeldRole[];
  #rights: Rights | undefined;

  constructor(held: readonly HeldRole[]) {
    this.#held = held;
  }

  /** The rights at an instant. */
  at(now: Date): Rights {
    const known = this.#rights;
    if (known !== undefined && (known.until === null || known.until > now)) return known;
    this.#rights = rightsAt(this.#held, now);
    return this.#rights;
  }
}
