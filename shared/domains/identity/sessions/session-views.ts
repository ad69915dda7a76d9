import { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
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

/** The open sessions, the newest first. */
export const sessionList = z.object({ items: z.array(session) });
export type SessionList = z.output<typeof sessionList>;

/** More sessions than anybody has at once. */
const SHOWN_MAX = 200;

type Row = Omit<z.output<typeof session>, 'is_current'> & Record<string, unknown>;

const COLUMNS = `s.session_id, s.tenant_id, array_to_json(s.methods) as methods, host(s.ip_address) as ip_address, s.user_agent,
  s.created_at, s.last_accessed_at, s.idle_expires_at, s.expires_at`;

/** SQL: the open sessions of a person. */
const openSql = (userId: string, now: string): string =>
  `s.user_id = ${userId} and s.revoked_at is null and s.expires_at > ${now} and s.idle_expires_at > ${now}
     order by s.created_at desc limit ${SHOWN_MAX}`;

function present(call: Call, rows: readonly Row[]): Reply<200, SessionList> {
  const items = rows.map((row) => ({ ...row, is_current: row.session_id === call.principal.sessionId }));
  return ok<SessionList>({ items });
}

/**
 * The tenant that a person's request about the own sessions is limited to; undefined for a person who signed in here, who has
 * sessions in several tenants. A token of an organisation's own provider speaks for the person there only.
 */
export function tenantOfOwn({ principal }: Call): string | undefined {
  return principal.kind === 'session' ? undefined : principal.tenantId;
}

/** `GET /me/sessions`. */
export async function listOwnSessions(call: Call): Promise<Reply<200, SessionList>> {
  const rows = await call.services.crossTenant.core.query<Row>(
    `select ${COLUMNS} from user_sessions s where ($3::text is null or s.tenant_id = $3) and ${openSql('$1', '$2')}`,
    [call.principal.userId, call.now, tenantOfOwn(call) ?? null],
  );
  return present(call, rows);
}

/** `GET /users/{user_id}/sessions`: a member's sessions in the tenant. @throws Problem 404. */
export async function listMemberSessions(call: Call, userId: string): Promise<Reply<200, SessionList>> {
  await requireMember(call, userId);
  const rows = await call.tenant.statement<Row>(
    `select r.* from scope, lateral (
       select ${COLUMNS} from user_sessions s where s.tenant_id = scope.tenant_id and ${openSql('$2', '$3')} offset 0) r`,
    [userId, call.now],
  );
  return present(call, rows);
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
