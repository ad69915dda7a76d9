import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { count } from '../../../platform/telemetry/metrics.ts';
import { auditEvent, emitEvents } from '../../../platform/writes/caused-events.ts';
import { beginAttempt, failureOf, forgiveAttempt, isRightPassword } from './attempts.ts';

/** A person with a session. */
export interface SignedInPerson {
  readonly userId: string;
  readonly sessionId: string;
}

/**
 * The person of a call, who signed in here.
 * @throws Problem 403 for a token of an organisation's provider: it speaks for the person in its own tenant only, and an account is
 * the same in all of them.
 */
export function requireSession({ principal }: Call): SignedInPerson {
  const { kind, userId, sessionId } = principal;
  if (kind === 'session' && userId !== null && sessionId !== null) return { userId, sessionId };
  throw new Problem('INSUFFICIENT_RBAC', {
    detail: 'Only a person who signed in with a password may do this.',
  });
}

/**
 * Checks a password that was proven once more, in the transaction that it is for, and locks the person. A new password in the meantime
 * ends what the old one allows: else somebody with a stolen password could undo the reset that shuts them out.
 * @throws Problem 400 if it is no longer the password.
 */
export type StillProven = (transaction: CrossTenantTransaction) => Promise<void>;

/**
 * Proves that the person of a session knows the password. Failures count as those of a sign-in. Call what it returns first in the
 * transaction.
 * @throws Problem 400 for a wrong password, and during a pause.
 */
export async function provePassword(
  call: Call,
  { userId }: SignedInPerson,
  password: string,
  pointer: string,
): Promise<StillProven> {
  const { core } = call.services.crossTenant;
  const attempt = await beginAttempt(core, { userId }, call.now);
  if (attempt !== undefined && (await isRightPassword(core, attempt, password))) {
    await forgiveAttempt(core, attempt);
    return async (transaction) => {
      const same = await transaction.query(
        `select 1 as one from users where user_id = $1 and password_hash = $2 for update`,
        [userId, attempt.password_hash],
      );
      if (same.length === 0) throw notThePassword(pointer);
    };
  }
  const reason = failureOf(attempt);
  count('sign_in_failures_total', { reason });
  const note = { resource_type: 'user', resource_id: userId, outcome: 'failure' as const };
  const isLock = (attempt?.locked_until ?? null) !== null;
  await emitEvents(call, [
    auditEvent(call, { ...note, action: 'password_check.failed', details: { reason } }),
    ...(isLock ? [auditEvent(call, { ...note, action: 'user.locked' })] : []),
  ]);
  throw notThePassword(pointer);
}

function notThePassword(pointer: string): Problem {
  return new Problem('INVALID_REQUEST', {
    errors: [{ pointer, detail: 'is not the password, or there were too many attempts' }],
  });
}
