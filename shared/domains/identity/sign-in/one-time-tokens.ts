import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { hashToken } from '../../../platform/auth/session-token.ts';
import {
  EMAIL_VERIFICATION_REQUESTED,
  newEvent,
  PASSWORD_RESET_REQUESTED,
  type NotificationData,
} from '../../../platform/bus/events.ts';
import type { Origin, OutboxEntry } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { accepted, noContent, type NoContent, type Reply } from '../../../platform/call/reply.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { randomToken } from '../../../platform/ids/ids.ts';
import { HOUR_MS } from '../../../platform/time/clock.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { findMemberships, trailOf } from './memberships.ts';
import { addEvents, personEvent, publishEntries } from './person-events.ts';
import type { MailRequested, ResetBody } from './schemas.ts';
import { setPassword } from './set-password.ts';
import { MAIL_LIMIT, TOKEN_LIMIT, type SignInServices } from './sign-in-services.ts';
import { inSteadyTime } from './steady-time.ts';

type Purpose = 'email_verification' | 'password_reset';

interface PurposeRules {
  readonly lifetimeMs: number;
  readonly event: string;
  /** SQL: whether a person gets such a token. */
  readonly condition: string;
}

const PURPOSES: Readonly<Record<Purpose, PurposeRules>> = {
  email_verification: {
    lifetimeMs: 24 * HOUR_MS,
    event: EMAIL_VERIFICATION_REQUESTED,
    condition: 'not is_verified',
  },
  // Only for who has a password: people of an organisation's own provider must not get around it.
  password_reset: {
    lifetimeMs: HOUR_MS,
    event: PASSWORD_RESET_REQUESTED,
    condition: 'password_hash is not null',
  },
};

/** 40 characters of 5 bits: 200 random bits. */
const TOKEN_LENGTH = 40;

/**
 * `POST /auth/password-resets`, `POST /auth/email-verifications`: sends a person a one-time token by e-mail. The answer and its time are
 * the same for every address.
 * @throws Problem 429.
 */
export async function requestToken(
  services: SignInServices,
  purpose: Purpose,
  email: string,
  origin: Origin,
): Promise<Reply<202, MailRequested>> {
  await services.addressLimiter.require(TOKEN_LIMIT, origin.ip);
  await inSteadyTime(() => sendToken(services, purpose, email, origin));
  return accepted<MailRequested>({ status: 'accepted' });
}

async function sendToken(
  services: SignInServices,
  purpose: Purpose,
  email: string,
  origin: Origin,
): Promise<void> {
  const now = services.clock.now();
  const { core } = services.crossTenant;
  const sql = `select user_id from users where email = $1 and is_active and ${PURPOSES[purpose].condition}`;
  const [person] = await core.query<{ user_id: string }>(sql, [email]);
  if (person === undefined || (await services.addressLimiter.take(MAIL_LIMIT, person.user_id)) > 0) return;
  const userId = person.user_id;
  const entries = await core.transaction(async (transaction) => {
    // Locked, so that of two tokens made at once one is the older one, and dies.
    const [same] = await transaction.query(`${sql} for update`, [email]);
    if (same === undefined) return [];
    const { token, expiresAt } = await issueToken(transaction, purpose, userId, now);
    const data: NotificationData = {
      tenant_id: PLATFORM_TENANT,
      email,
      token,
      expires_at: expiresAt.toISOString(),
    };
    const memberships = await findMemberships(transaction, services.tenants, userId, now);
    const note = { tenantId: trailOf(memberships), userId, action: `${purpose}.requested` };
    const events = [newEvent(PURPOSES[purpose].event, data, now), personEvent(note, origin, now)];
    return addEvents(transaction, events, now);
  });
  publishEntries(services, entries);
}

async function issueToken(
  transaction: CrossTenantTransaction,
  purpose: Purpose,
  userId: string,
  now: Date,
): Promise<{ readonly token: string; readonly expiresAt: Date }> {
  await dropTokens(transaction, purpose, userId);
  const token = randomToken(TOKEN_LENGTH);
  const expiresAt = new Date(now.getTime() + PURPOSES[purpose].lifetimeMs);
  await transaction.query(
    `insert into ops.user_tokens (token_hash, purpose, user_id, created_at, expires_at) values ($1, $2, $3, $4, $5)`,
    [hashToken(token), purpose, userId, now, expiresAt],
  );
  return { token, expiresAt };
}

async function dropTokens(
  transaction: CrossTenantTransaction,
  purpose: Purpose,
  userId: string,
): Promise<void> {
  await transaction.query(
    `delete from ops.user_tokens where user_id = $1 and purpose = $2 and used_at is null`,
    [userId, purpose],
  );
}

/**
 * Uses a token, in the caller's transaction: of two uses at once, the second waits for the first one's end. The person is locked before
 * the token, as by {@link sendToken}: in the other order, a use and a request for a new token at once could block each other.
 * @throws Problem 400 for a token that is unknown, used, replaced or too old.
 */
async function useToken(
  transaction: CrossTenantTransaction,
  purpose: Purpose,
  token: string,
  now: Date,
): Promise<string> {
  await transaction.query(
    `select u.user_id from users u join ops.user_tokens t on t.user_id = u.user_id where t.token_hash = $1 for update of u`,
    [hashToken(token)],
  );
  const [used] = await transaction.query<{ user_id: string }>(
    `update ops.user_tokens t set used_at = $3
      where token_hash = $1 and purpose = $2 and used_at is null and expires_at > $3
        and exists (select from users u where u.user_id = t.user_id and u.is_active)
     returning user_id`,
    [hashToken(token), purpose, now],
  );
  if (used !== undefined) return used.user_id;
  throw new Problem('INVALID_REQUEST', {
    errors: [{ pointer: '/token', detail: 'is not valid, or not any more: ask for a new one' }],
  });
}

/** Runs what a token is for, with its entry in the audit trail, in one transaction. Returns the person. */
async function withToken(
  services: SignInServices,
  { purpose, token, origin }: { readonly purpose: Purpose; readonly token: string; readonly origin: Origin },
  run: (transaction: CrossTenantTransaction, userId: string, now: Date) => Promise<object>,
): Promise<string> {
  await services.addressLimiter.require(TOKEN_LIMIT, origin.ip);
  const now = services.clock.now();
  const done = await services.crossTenant.core.transaction(async (transaction) => {
    const userId = await useToken(transaction, purpose, token, now);
    const details = await run(transaction, userId, now);
    // The token came by e-mail, so the address is the person's.
    await transaction.query(
      `update users set is_verified = true, email_verified_at = coalesce(email_verified_at, $2), updated_at = $2,
         version = version + 1
        where user_id = $1`,
      [userId, now],
    );
    const memberships = await findMemberships(transaction, services.tenants, userId, now);
    const note = {
      tenantId: trailOf(memberships),
      userId,
      action: `${purpose}.completed`,
      details: { ...details },
    };
    const entries: readonly OutboxEntry[] = await addEvents(
      transaction,
      [personEvent(note, origin, now)],
      now,
    );
    return { userId, entries };
  });
  publishEntries(services, done.entries);
  return done.userId;
}

/** `POST /auth/email-verifications/confirm`. @throws Problem 400 for a token that does not count, 429. */
export async function confirmEmail(
  services: SignInServices,
  token: string,
  origin: Origin,
): Promise<NoContent> {
  await withToken(services, { purpose: 'email_verification', token, origin }, () => Promise.resolve({}));
  return noContent;
}

/**
 * `POST /auth/password-resets/confirm`: sets a new password, ends a lock and all sessions. The second factor stays.
 * @throws Problem 400 for a token that does not count, and for a password that is not good enough (the token then still counts);
 * 429.
 */
export async function confirmReset(
  services: SignInServices,
  { token, new_password }: ResetBody,
  origin: Origin,
): Promise<NoContent> {
  const userId = await withToken(
    services,
    { purpose: 'password_reset', token, origin },
    async (transaction, person, now) => {
      await setPassword(transaction, person, new_password, now, '/new_password');
      await dropTokens(transaction, 'password_reset', person);
      const ended = await endSessions(transaction, { userId: person }, `user:${person}`, now);
      return { sessions_ended: ended.length };
    },
  );
  services.credentials.forgetPerson(userId);
  return noContent;
}
