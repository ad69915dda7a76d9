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

/**
 * SQL: the roles that a person has in a tenant, as JSON for {@link readHeldRoles}. Ended assignments are left out; those with an
 * end say when it is.
 */
export function heldRolesSql(tenantId: string, userId: string): string {
  return `(select coalesce(json_agg(json_build_object('role', a.role_name, 'permissions', r.permissions,
              'source', a.source, 'expires_at', a.expires_at) order by a.role_name), '[]')
     from user_role_assignments a
     join user_roles r on r.role_name = a.role_name and r.tenant_id in (a.tenant_id, '${PLATFORM_TENANT}')
    where a.tenant_id = ${tenantId} and a.user_id = ${userId} and a.is_active)`;
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
