import { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { readKeyset, when, type KeysetList } from '../../../platform/db/keyset.ts';
import { positionIn } from '../../../platform/http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../../platform/http/pagination.ts';
import type { Member, membersQuery } from './person-schemas.ts';
import { personStatus, statusConditions, type Standing } from './person-status.ts';

type MemberRow = Omit<Member, 'status' | 'roles' | 'has_second_factor'> &
  Standing & { readonly [column: string]: unknown; readonly roles: unknown };

/**
 * People with a live role in a tenant, one row each. The table of assignments is read first, so that the work is for the tenant's
 * people and not for everybody's. Rows of `users` come through its policy `members`.
 */
const MEMBERS = `(
  select a.tenant_id, u.user_id, u.email, u.first_name, u.last_name, u.is_active, u.locked_until, u.is_verified, u.last_login_at,
         min(a.assigned_at) as created_at, array_agg(a.role_name) as role_names,
         json_agg(json_build_object('role_name', a.role_name, 'source', a.source, 'expires_at', a.expires_at)
           order by a.role_name, a.source) as roles
    from user_role_assignments a join users u on u.user_id = a.user_id
   where a.is_active and (a.expires_at is null or a.expires_at > now())
   group by a.tenant_id, u.user_id) m`;
const COLUMNS = `m.user_id, m.email, m.first_name, m.last_name, m.is_active, m.locked_until, m.is_verified, m.last_login_at, m.roles,
  m.created_at`;

const roles = z.array(
  z.object({
    role_name: z.string(),
    source: z.enum(['assigned', 'token']),
    expires_at: z
      .string()
      .transform((text) => new Date(text).toISOString())
      .nullable(),
  }),
);

/** A page of the people with a role in the tenant. */
export function listMembers(
  call: Call,
  query: z.output<typeof membersQuery>,
  url: string,
): Promise<Reply<200, Page<Member>>> {
  const list: KeysetList = {
    table: MEMBERS,
    columns: COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'user_id',
    idType: 'uuid',
    conditions: [
      ...when('m.email = ?', query.email),
      ...when('? = any(m.role_names)', query.role),
      ...statusConditions(query.status, call.now),
    ],
  };
  const scope = cursorScope(call, query);
  return pageReply(scope, url, readPage(scope, query), {
    read: async (step) => present(call, await readKeyset<MemberRow>(call.tenant, list, step)),
    positionOf: positionIn(list),
  });
}

/**
 * One member.
 * @throws Problem 404, also for a person whose roles here have all ended.
 */
export async function readMember(call: Call, userId: string): Promise<Reply<200, Member>> {
  const rows = await call.tenant.statement<MemberRow>(
    `select r.* from scope, lateral (
       select ${COLUMNS} from ${MEMBERS} where m.tenant_id = scope.tenant_id and m.user_id = $2 offset 0) r`,
    [userId],
  );
  const [found] = await present(call, rows);
  if (found === undefined) throw noSuchMember();
  return ok(found);
}

/** The refusal for a person who has no role in the tenant. */
export function noSuchMember(): Problem {
  return new Problem('NOT_FOUND', { detail: 'The tenant has no such member.' });
}

async function present(call: Call, rows: readonly MemberRow[]): Promise<Member[]> {
  const secured = await withSecondFactor(
    call,
    rows.map(({ user_id }) => user_id),
  );
  return rows.map(({ is_active, locked_until, ...row }) => ({
    ...row,
    status: personStatus({ is_active, locked_until }, call.now),
    has_second_factor: secured.has(row.user_id),
    roles: roles.parse(row.roles),
  }));
}

/**
 * Which of these people have a second factor. It crosses tenants, because that table has secrets, and the role of requests may not
 * read it. The ids are of people whom the caller has just read as its own tenant's.
 */
async function withSecondFactor(call: Call, userIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (userIds.length === 0) return new Set();
  const rows = await call.services.crossTenant.core.query<{ user_id: string }>(
    `select user_id from ops.user_totp where user_id = any($1::uuid[]) and confirmed_at is not null`,
    [userIds],
  );
  return new Set(rows.map(({ user_id }) => user_id));
}
