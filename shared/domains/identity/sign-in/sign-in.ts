import { SESSION_COOKIE } from '../../../platform/auth/session-token.ts';
import type { Origin, OutboxEntry } from '../../../platform/call/call.ts';
import { Problem, unauthorized } from '../../../platform/call/problem.ts';
import { created, type Reply } from '../../../platform/call/reply.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { count } from '../../../platform/telemetry/metrics.ts';
import { HOUR_MS } from '../../../platform/time/clock.ts';
import { openSession } from '../sessions/open-session.ts';
import { beginAttempt, failureOf, forgiveAttempt, isRightPassword, type Attempt } from './attempts.ts';
import { findMemberships, trailOf, type Membership } from './memberships.ts';
import { hashPassword, isWeakHash } from './password-hash.ts';
import { addEvents, personEvent, publishEntries, type PersonNote } from './person-events.ts';
import { findSecondFactor, useRecoveryCode, useTotpCode, type SecondFactor } from './second-factor.ts';
import type { SignedIn, SignInBody } from './schemas.ts';
import { SIGN_IN_LIMIT, type SignInServices } from './sign-in-services.ts';
import { inSteadyTime } from './steady-time.ts';

/** One answer for an unknown address, a wrong password, a pause, and a person who is not active. */
const REFUSED = 'The e-mail address or the password is wrong, or there were too many attempts.';

/** An attempt to sign in. */
interface SignIn {
  readonly services: SignInServices;
  readonly body: SignInBody;
  readonly origin: Origin;
  readonly now: Date;
}

/**
 * `POST /auth/sessions`: opens a session of a person in a tenant. Only this answer contains the token.
 * @throws Problem 401 with one answer at one time whatever is wrong with address and password. Only with the right password, the
 * member `reason` says what else is missing. 403 without a role in the tenant, 409 with the tenants to choose from, 429.
 */
export async function signIn(
  services: SignInServices,
  body: SignInBody,
  origin: Origin,
): Promise<Reply<201, SignedIn>> {
  await services.addressLimiter.require(SIGN_IN_LIMIT, origin.ip);
  const given: SignIn = { services, body, origin, now: services.clock.now() };
  return inSteadyTime(() => checkAndOpen(given));
}

async function checkAndOpen(given: SignIn): Promise<Reply<201, SignedIn>> {
  const { services, body, now } = given;
  const { core } = services.crossTenant;
  const attempt = await beginAttempt(core, { email: body.email }, now);
  if (!(await isRightPassword(core, attempt, body.password)) || attempt === undefined) {
    await noteFailure(given, attempt, failureOf(attempt));
    throw unauthorized(REFUSED);
  }
  if (!attempt.is_verified) {
    await forgiveAttempt(core, attempt);
    await noteFailure(given, attempt, 'not_verified');
    throw refusedFor('email_not_verified', 'Confirm the e-mail address first.');
  }
  const found = await findSecondFactor(core, services, attempt.user_id);
  const factor = found?.isConfirmed === true ? found : undefined;
  if (factor !== undefined && body.totp_code === undefined && body.recovery_code === undefined) {
    await forgiveAttempt(core, attempt);
    // Whoever stops here knows the password: that is to be seen.
    await noteFailure(given, attempt, 'totp_missing');
    throw refusedFor('totp_required', 'Send totp_code or recovery_code too.');
  }
  return openFor(given, attempt, factor);
}

/** The rest, when the password is right. */
async function openFor(
  given: SignIn,
  attempt: Attempt,
  factor: SecondFactor | undefined,
): Promise<Reply<201, SignedIn>> {
  const { services, body, now } = given;
  const { core } = services.crossTenant;
  const hash = attempt.password_hash ?? '';
  const better = (await isWeakHash(hash)) ? await hashPassword(body.password) : null;
  let outcome: Opened | 'totp' | 'password';
  try {
    outcome = await core.transaction(async (transaction) => {
      // Locks the person. A new password ends the sessions after it has the same lock, so none of the old password stays.
      const [same] = await transaction.query(
        `select user_id from users where user_id = $1 and password_hash = $2 and is_active for update`,
        [attempt.user_id, hash],
      );
      if (same === undefined) return 'password';
      if (factor !== undefined && !(await isRightFactor(given, transaction, attempt.user_id, factor)))
        return 'totp';
      await transaction.query(
        `update users set failed_sign_ins = 0, locked_until = null, last_login_at = $2,
           password_hash = coalesce($3, password_hash)
          where user_id = $1`,
        [attempt.user_id, now, better],
      );
      return open(given, transaction, attempt.user_id, factor === undefined ? ['pwd'] : ['pwd', 'otp']);
    });
  } catch (error) {
    // The person proved everything, and the second factor was not used: another request can name the tenant.
    await forgiveAttempt(core, attempt);
    if (error instanceof Problem && error.code === 'INSUFFICIENT_RBAC')
      await noteFailure(given, attempt, 'no_role');
    throw error;
  }
  if (typeof outcome === 'string') {
    await noteFailure(given, attempt, outcome);
    throw outcome === 'totp'
      ? refusedFor('totp_invalid', 'The code is wrong, or was used.')
      : unauthorized(REFUSED);
  }
  publishEntries(services, outcome.entries);
  return outcome.reply;
}

interface Opened {
  readonly reply: Reply<201, SignedIn>;
  readonly entries: readonly OutboxEntry[];
}

function isRightFactor(
  { body, now }: SignIn,
  transaction: CrossTenantTransaction,
  userId: string,
  factor: SecondFactor,
): Promise<boolean> {
  return body.recovery_code === undefined
    ? useTotpCode(transaction, userId, factor, body.totp_code ?? '', now)
    : useRecoveryCode(transaction, userId, body.recovery_code, now);
}

async function open(
  { services, body, origin, now }: SignIn,
  transaction: CrossTenantTransaction,
  userId: string,
  methods: readonly string[],
): Promise<Opened> {
  const tenants = await findMemberships(transaction, services.tenants, userId, now);
  const tenantId = chooseTenant(tenants, body.tenant_id);
  const session = await openSession(services, transaction, { tenantId, userId, methods, origin }, now);
  const note = {
    tenantId,
    userId,
    action: 'session.created',
    resource: ['session', session.sessionId] as const,
    details: { methods, ...(body.recovery_code === undefined ? {} : { recovery_code_used: true }) },
  };
  const entries = await addEvents(transaction, [personEvent(note, origin, now)], now);
  const seconds = (services.settings.SESSION_HOURS * HOUR_MS) / 1000;
  return {
    entries,
    reply: created(
      '/api/v1/auth/sessions/current',
      {
        token: session.token,
        session_id: session.sessionId,
        tenant_id: tenantId,
        user_id: userId,
        methods: [...methods],
        expires_at: session.expiresAt.toISOString(),
      },
      { 'set-cookie': sessionCookie(session.token, seconds) },
    ),
  };
}

function chooseTenant(tenants: readonly Membership[], named: string | undefined): string {
  const [only, ...others] = named === undefined ? tenants : tenants.filter((one) => one.tenant_id === named);
  // The same for a tenant that does not exist: only members learn that it does.
  if (only === undefined)
    throw new Problem('INSUFFICIENT_RBAC', {
      detail: named === undefined ? 'You have no role in any tenant.' : 'You have no role in this tenant.',
    });
  if (others.length > 0)
    throw new Problem('CONFLICT', {
      detail: 'You belong to several tenants: send tenant_id.',
      members: { tenants },
    });
  return only.tenant_id;
}

/**
 * The cookie of a session; without a token, the one that removes it. It is the only cookie of an answer: the host would lose the
 * first of two `set-cookie` headers.
 */
export function sessionCookie(token: string, seconds: number): string {
  return `${SESSION_COOKIE}=${token}; Path=/; Max-Age=${seconds}; HttpOnly; Secure; SameSite=Lax`;
}

/** 401 for somebody who gave the right password. */
function refusedFor(reason: string, detail: string): Problem {
  const { options } = unauthorized(detail);
  return new Problem('UNAUTHORIZED', { ...options, members: { reason } });
}

/** Why somebody with the right password was not let in. The attempt was taken back, so it begins no pause. */
const FORGIVEN = ['not_verified', 'totp_missing', 'no_role'] as const;

type Reason = ReturnType<typeof failureOf> | (typeof FORGIVEN)[number] | 'totp';

/** Writes a failed attempt into the audit trail of the person's tenant, or of the platform. Never the address. */
async function noteFailure(
  { services, body, origin, now }: SignIn,
  attempt: Attempt | undefined,
  reason: Reason,
): Promise<void> {
  count('sign_in_failures_total', { reason });
  const { core } = services.crossTenant;
  const userId = attempt?.user_id;
  const memberships = userId === undefined ? [] : await findMemberships(core, services.tenants, userId, now);
  const by = { tenantId: trailOf(memberships, body.tenant_id), userId, outcome: 'failure' as const };
  const notes: PersonNote[] = [{ ...by, action: 'sign_in.failed', details: { reason } }];
  const locked = attempt?.locked_until ?? null;
  if (attempt !== undefined && locked !== null && !FORGIVEN.some((one) => one === reason))
    notes.push({
      ...by,
      action: 'user.locked',
      details: { failures: attempt.failed_sign_ins, until: new Date(locked).toISOString() },
    });
  const events = notes.map((note) => personEvent(note, origin, now));
  publishEntries(services, await addEvents(core, events, now));
}
