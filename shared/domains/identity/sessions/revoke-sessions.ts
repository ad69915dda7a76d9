import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { noContent, type NoContent, type ReplyHeaders } from '../../../platform/call/reply.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { performPlatformWrite, performWrite } from '../../../platform/writes/perform-write.ts';
import { endSessions, type SessionsToEnd } from './end-sessions.ts';
import { requireMember, tenantOfOwn } from './session-views.ts';

const OPTIONS = { beyondQuota: true } as const;

/** `DELETE /auth/sessions/current`. `headers`: what removes the cookie. @throws Problem 409 for a credential without a session. */
export async function signOut(call: Call, headers: ReplyHeaders): Promise<NoContent> {
  const { sessionId } = call.principal;
  if (sessionId === null) throw new Problem('CONFLICT', { detail: 'This credential has no session.' });
  const reply = await endOwn(call, { sessionId });
  return { ...reply, headers };
}

/** `DELETE /me/sessions/{session_id}`. A repeated call changes nothing. @throws Problem 404. */
export function endOwnSession(call: Call, sessionId: string): Promise<NoContent> {
  return endOwn(call, { sessionId });
}

/** `DELETE /me/sessions`: all but the present one. */
export function endOtherSessions(call: Call): Promise<NoContent> {
  return endOwn(call, { except: call.principal.sessionId });
}

async function endOwn(call: Call, which: Omit<SessionsToEnd, 'userId' | 'tenantId'>): Promise<NoContent> {
  const { userId } = call.principal;
  if (userId === null) throw new Problem('INSUFFICIENT_RBAC');
  const tenantId = tenantOfOwn(call);
  const wanted = { ...which, userId, ...(tenantId === undefined ? {} : { tenantId }) };
  const reply = await performPlatformWrite(call, (transaction) => end(call, transaction, wanted), OPTIONS);
  call.services.credentials.forgetPerson(userId);
  return reply;
}

/**
 * `DELETE /users/{user_id}/sessions[/{session_id}]`: a member's sessions in the tenant. A repeated call changes nothing.
 * @throws Problem 404.
 */
export async function endMemberSessions(call: Call, userId: string, sessionId?: string): Promise<NoContent> {
  await requireMember(call, userId);
  const wanted = {
    userId,
    tenantId: call.tenant.tenantId,
    ...(sessionId === undefined ? {} : { sessionId }),
  };
  const reply = await performWrite(call, (transaction) => end(call, transaction, wanted), OPTIONS);
  call.services.credentials.forgetPerson(userId);
  return reply;
}

async function end(call: Call, transaction: Pick<TenantTransaction, 'query'>, wanted: SessionsToEnd) {
  const ended = await endSessions(transaction, wanted, call.principal.actor, call.now);
  if (ended.length === 0 && wanted.sessionId !== undefined) await requireSession(transaction, wanted);
  return {
    reply: noContent,
    audit: {
      action: 'session.ended',
      resource_type: 'session',
      resource_id: wanted.sessionId ?? null,
      details: { person: wanted.userId, sessions: ended.length },
    },
  };
}

/** @throws Problem 404 if the person never had the session. */
async function requireSession(
  transaction: Pick<TenantTransaction, 'query'>,
  { userId, tenantId, sessionId }: SessionsToEnd,
): Promise<void> {
  const [known] = await transaction.query(
    `select session_id from user_sessions where session_id = $1 and user_id = $2 and ($3::text is null or tenant_id = $3)`,
    [sessionId ?? null, userId, tenantId ?? null],
  );
  if (known === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such session.' });
}
