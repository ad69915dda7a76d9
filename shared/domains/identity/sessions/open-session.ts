import { generateSessionToken, hashToken } from '../../../platform/auth/session-token.ts';
import type { CallServices, Origin } from '../../../platform/call/call.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { HOUR_MS } from '../../../platform/time/clock.ts';

/** A session to open. */
export interface NewSession {
  readonly tenantId: string;
  readonly userId: string;
  /** How the person signed in: `pwd`, `otp` (RFC 8176). */
  readonly methods: readonly string[];
  readonly origin: Origin;
}

/** An open session. The token is shown once. */
export interface OpenedSession {
  readonly sessionId: string;
  readonly token: string;
  readonly expiresAt: Date;
}

/** Opens a person's session in a tenant, in the caller's transaction. */
export async function openSession(
  { settings }: Pick<CallServices, 'settings'>,
  transaction: CrossTenantTransaction,
  session: NewSession,
  now: Date,
): Promise<OpenedSession> {
  const { sessionId, token } = generateSessionToken();
  const expiresAt = new Date(now.getTime() + settings.SESSION_HOURS * HOUR_MS);
  const idleEnd = new Date(now.getTime() + settings.SESSION_IDLE_MINUTES * 60_000);
  await transaction.query(
    `insert into user_sessions (tenant_id, session_id, user_id, token_hash, methods, ip_address, user_agent, created_at,
       last_accessed_at, idle_expires_at, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10)`,
    [
      session.tenantId,
      sessionId,
      session.userId,
      hashToken(token),
      session.methods,
      session.origin.ip,
      session.origin.userAgent,
      now,
      idleEnd,
      expiresAt,
    ],
  );
  return { sessionId, token, expiresAt };
}
