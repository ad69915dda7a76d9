import { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { Reply } from '../../../platform/call/reply.ts';
import {
  readKeyset,
  readPlatformKeyset,
  when,
  type KeysetList,
  type PageRequest,
} from '../../../platform/db/keyset.ts';
import {
  cursorScope,
  pageOf,
  pageQuery,
  pageReply,
  readPage,
  type Page,
} from '../../../platform/http/pagination.ts';
import { uuid } from '../../../platform/ids/uuid.ts';

/** `{session_id}` in a path. */
const sessionId = z.string().regex(/^[a-z0-9]{20}$/, 'must be the id of a session');
export const sessionIdParams = z.object({ session_id: sessionId });
/** `{user_id}` in a path. */
export const userIdParams = z.object({ user_id: uuid });
/** `{user_id}` and `{session_id}` in a path. */
export const userSessionParams = z.object({ user_id: uuid, session_id: sessionId });

/** A session as its person and the tenant's owner see it. */
const session = z.object({
  session_id: z.string(),
  tenant_id: z.string(),
  is_current: z.boolean().describe('Whether this request is of this session.'),
  methods: z.array(z.string()),
  ip_address: z.string().nullable().describe('Where the person signed in.'),
  user_agent: z.string().nullable(),
  created_at: z.string(),
  last_accessed_at: z.string().describe('To the minute.'),
  idle_expires_at: z.string(),
  expires_at: z.string(),
});

/** A page of open sessions. */
export const sessionsPage = pageOf(session);
/** `GET` of the open sessions of a person. */
export const sessionsQuery = z.object(pageQuery);

type Session = z.output<typeof session>;
type Query = z.output<typeof sessionsQuery>;
type Row = Omit<Session, 'is_current'> & Record<string, unknown>;

/** The open sessions of a person. */
function openSessionsOf(call: Call, userId: string | null) {
  return {
    table: 'user_sessions s',
    columns: `s.session_id, s.tenant_id, array_to_json(s.methods) as methods, host(s.ip_address) as ip_address, s.user_agent,
      s.created_at, s.last_accessed_at, s.idle_expires_at, s.expires_at`,
    timeColumn: 'created_at',
    idColumn: 'session_id',
    idType: 'text',
    where: 's.revoked_at is null',
    conditions: [
      { sql: 's.user_id = ?', value: userId },
      { sql: 's.expires_at > ?', value: call.now },
      { sql: 's.idle_expires_at > ?', value: call.now },
    ],
  } as const satisfies KeysetList;
}

function page(
  call: Call,
  query: Query,
  url: string,
  read: (step: PageRequest) => Promise<readonly Row[]>,
): Promise<Reply<200, Page<Session>>> {
  const scope = cursorScope(call, query);
  return pageReply<Session>(scope, url, readPage(scope, query), {
    read: async (step) =>
      (await read(step)).map((row) => ({ ...row, is_current: row.session_id === call.principal.sessionId })),
    positionOf: ({ created_at: at, session_id: id }) => ({ at, id }),
  });
}

/**
 * The tenant that a person's request about the own sessions is limited to; undefined for a person who signed in here, who has
 * sessions in several tenants. A token of an organisation's own provider speaks for the person there only.
 */
export function tenantOfOwn({ principal }: Call): string | undefined {
  return principal.kind === 'session' ? undefined : principal.tenantId;
}

/** `GET /me/sessions`. */
export function listOwnSessions(call: Call, query: Query, url: string): Promise<Reply<200, Page<Session>>> {
  const all = openSessionsOf(call, call.principal.userId);
  const list = { ...all, conditions: [...all.conditions, ...when('s.tenant_id = ?', tenantOfOwn(call))] };
  return page(call, query, url, (step) =>
    readPlatformKeyset<Row>(call.services.crossTenant.core, list, step),
  );
}

/** `GET /users/{user_id}/sessions`: a member's sessions in the tenant. @throws Problem 404. */
export async function listMemberSessions(
  call: Call,
  userId: string,
  query: Query,
  url: string,
): Promise<Reply<200, Page<Session>>> {
  await requireMember(call, userId);
  const list = openSessionsOf(call, userId);
  return page(call, query, url, (step) => readKeyset<Row>(call.tenant, list, step));
}

/** @throws Problem 404 for who is not and was not a member of the tenant. */
export async function requireMember(call: Call, userId: string): Promise<void> {
  const [member] = await call.tenant.statement(
    `select r.* from scope, lateral (select a.user_id from user_role_assignments a
        where a.tenant_id = scope.tenant_id and a.user_id = $2 limit 1 offset 0) r`,
    [userId],
  );
  if (member === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such person.' });
}
