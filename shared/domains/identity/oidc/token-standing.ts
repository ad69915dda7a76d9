import { z } from 'zod';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { heldRolesSql, permissionsInSql, readHeldRoles, type HeldRole } from '../roles/held-roles.ts';

/** Whose standing in a tenant is asked for. */
export interface StandingOf {
  readonly tenantId: string;
  /** The person's subject, and who vouches for it. Null for a service. */
  readonly identity: { readonly authority: string; readonly subject: string } | null;
  /** The roles that the token gives. */
  readonly roles: readonly string[];
}

const person = z.object({
  user_id: z.string(),
  is_active: z.boolean(),
  held: z.unknown(),
  newest_token: z.string().nullable(),
});

const standing = z.object({
  person: person.nullable(),
  roles: z.array(z.object({ role: z.string(), permissions: z.unknown() })),
  rate_per_hour: z.number().nullable(),
  rate_per_day: z.number().nullable(),
});

/** What the database says of a token's caller. */
export interface Standing {
  readonly person: {
    readonly userId: string;
    readonly isActive: boolean;
    readonly held: readonly HeldRole[];
    /** When the newest token was issued whose roles are recorded here; null if none are. */
    readonly newestToken: number | null;
  } | null;
  /** Those of the token's roles that exist, with their permissions. */
  readonly roles: readonly { readonly role: string; readonly permissions: unknown }[];
  readonly ratePerHour: number | null;
  readonly ratePerDay: number | null;
}

const SQL = `select
  (select json_build_object('user_id', u.user_id, 'is_active', u.is_active,
            'held', ${heldRolesSql('$1', 'u.user_id')},
            'newest_token', (select max(t.issued_at) from user_role_assignments t
                              where t.tenant_id = $1 and t.user_id = u.user_id and t.source = 'token'))
     from ops.user_identities i join users u on u.user_id = i.user_id
    where i.issuer = $2 and i.subject = $3) as person,
  (select coalesce(json_agg(json_build_object('role', r.role_name, 'permissions',
            ${permissionsInSql('r', '$1')})), '[]') from user_roles r
    where r.role_name = any($4::text[]) and r.tenant_id in ($1, '${PLATFORM_TENANT}')) as roles,
  (select max(k.rate_limit_per_hour) from api_keys k where k.tenant_id = $1 and k.is_active) as rate_per_hour,
  (select max(k.rate_limit_per_day) from api_keys k where k.tenant_id = $1 and k.is_active) as rate_per_day`;

/** Reads the standing of a token's caller in a tenant. */
export async function readStanding(
  core: CrossTenantDatabase,
  { tenantId, identity, roles }: StandingOf,
): Promise<Standing> {
  const parameters = [tenantId, identity?.authority ?? null, identity?.subject ?? null, roles];
  const [row] = await core.query(SQL, parameters, { short: true });
  const read = standing.parse(row);
  return {
    person: read.person === null ? null : readPerson(read.person),
    roles: read.roles,
    ratePerHour: read.rate_per_hour,
    ratePerDay: read.rate_per_day,
  };
}

function readPerson({ user_id, is_active, held, newest_token }: z.output<typeof person>) {
  return {
    userId: user_id,
    isActive: is_active,
    held: readHeldRoles(held),
    newestToken: newest_token === null ? null : Date.parse(newest_token),
  };
}
