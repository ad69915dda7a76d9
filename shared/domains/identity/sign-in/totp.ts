import { randomBytes } from 'node:crypto';
import { hashToken } from '../../../platform/auth/session-token.ts';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { noContent, ok, type NoContent, type Reply } from '../../../platform/call/reply.ts';
import type { DataKey } from '../../../platform/crypto/data-keys.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { randomToken } from '../../../platform/ids/ids.ts';
import { performPlatformWrite } from '../../../platform/writes/perform-write.ts';
import { provePassword, requireSession } from './own-account.ts';
import type { RecoveryCodes, TotpBegun } from './schemas.ts';
import { describeSecret, findSecondFactor, sealSecret, useTotpCode } from './second-factor.ts';

/** RFC 4226 recommends 160 bits. */
const SECRET_BYTES = 20;
const CODES = 10;
/** 16 characters of 5 bits: 80 random bits, so that a hash without a key cannot be guessed. */
const CODE_LENGTH = 16;

const note = (userId: string) => ({ resource_type: 'user', resource_id: userId });
const BEYOND_QUOTA = { beyondQuota: true } as const;

/**
 * `POST /auth/totp`: makes a second factor, which counts when it is confirmed. `dataKey`: of the platform.
 * @throws Problem 400 for a wrong password, 409 if the person has a confirmed one.
 */
export async function beginTotp(
  call: Call,
  password: string,
  dataKey: () => Promise<DataKey>,
): Promise<Reply<200, TotpBegun>> {
  const person = requireSession(call);
  const { userId } = person;
  const requireProven = await provePassword(call, person, password, '/password');
  const key = await dataKey();
  const secret = randomBytes(SECRET_BYTES);
  return performPlatformWrite<Reply<200, TotpBegun>>(
    call,
    async (transaction) => {
      await requireProven(transaction);
      const [begun] = await transaction.query<{ email: string | null }>(
        `with begun as (
           insert into ops.user_totp (user_id, secret_sealed, encryption_key_id, created_at) values ($1, $2, $3, $4)
           on conflict (user_id) do update set secret_sealed = excluded.secret_sealed,
             encryption_key_id = excluded.encryption_key_id, created_at = excluded.created_at, last_step = 0
             where user_totp.confirmed_at is null
           returning user_id)
         select u.email from users u join begun using (user_id)`,
        [userId, sealSecret(key, userId, secret), key.keyId, call.now],
      );
      if (begun === undefined) throw new Problem('CONFLICT', { detail: 'There is a second factor already.' });
      return {
        reply: ok<TotpBegun>(await describeSecret(secret, begun.email ?? userId)),
        storedReply: ok<TotpBegun>({ secret: null, otpauth_uri: null }),
        audit: { ...note(userId), action: 'totp.begun' },
      };
    },
    BEYOND_QUOTA,
  );
}

/**
 * `POST /auth/totp/confirm`: the second factor counts from now on.
 * @throws Problem 400 for a wrong code, 409 without a second factor that was begun.
 */
export async function confirmTotp(call: Call, code: string): Promise<Reply<200, RecoveryCodes>> {
  const { userId } = requireSession(call);
  const { services, now } = call;
  const factor = await findSecondFactor(services.crossTenant.core, services, userId);
  return performPlatformWrite<Reply<200, RecoveryCodes>>(
    call,
    async (transaction) => {
      if (factor === undefined || factor.isConfirmed)
        throw new Problem('CONFLICT', { detail: 'There is nothing to confirm.' });
      if (!(await useTotpCode(transaction, userId, factor, code, now)))
        throw new Problem('INVALID_REQUEST', { errors: [{ pointer: '/code', detail: 'is not the code' }] });
      return {
        ...(await newRecoveryCodes(transaction, userId, now)),
        audit: { ...note(userId), action: 'totp.confirmed' },
      };
    },
    BEYOND_QUOTA,
  );
}

/**
 * `POST /auth/totp/recovery-codes`: new codes; the old ones do not count any more.
 * @throws Problem 400 for a wrong password, 409 without a second factor.
 */
export async function replaceRecoveryCodes(call: Call, password: string): Promise<Reply<200, RecoveryCodes>> {
  const person = requireSession(call);
  const { userId } = person;
  const requireProven = await provePassword(call, person, password, '/password');
  return performPlatformWrite<Reply<200, RecoveryCodes>>(
    call,
    async (transaction) => {
      await requireProven(transaction);
      const [row] = await transaction.query(
        `select user_id from ops.user_totp where user_id = $1 and confirmed_at is not null for update`,
        [userId],
      );
      if (row === undefined) throw new Problem('CONFLICT', { detail: 'There is no second factor.' });
      return {
        ...(await newRecoveryCodes(transaction, userId, call.now)),
        audit: { ...note(userId), action: 'recovery_codes.replaced' },
      };
    },
    BEYOND_QUOTA,
  );
}

/** `DELETE /auth/totp`. A repeated call changes nothing. @throws Problem 400 for a wrong password. */
export async function removeTotp(call: Call, password: string): Promise<NoContent> {
  const person = requireSession(call);
  const { userId } = person;
  const requireProven = await provePassword(call, person, password, '/password');
  return performPlatformWrite(
    call,
    async (transaction) => {
      await requireProven(transaction);
      await transaction.query(`delete from ops.user_totp where user_id = $1`, [userId]);
      await transaction.query(`delete from ops.recovery_codes where user_id = $1`, [userId]);
      return { reply: noContent, audit: { ...note(userId), action: 'totp.removed' } };
    },
    BEYOND_QUOTA,
  );
}

const HASHES = recordset({ code_hash: 'bytea' });

async function newRecoveryCodes(
  transaction: CrossTenantTransaction,
  userId: string,
  now: Date,
): Promise<{ reply: Reply<200, RecoveryCodes>; storedReply: Reply<200, RecoveryCodes> }> {
  const codes = Array.from({ length: CODES }, () => randomToken(CODE_LENGTH));
  await transaction.query(`delete from ops.recovery_codes where user_id = $1`, [userId]);
  await transaction.query(
    `insert into ops.recovery_codes (user_id, code_hash, created_at)
     select $1, c.code_hash, $2 from ${HASHES.from('c', 3)}`,
    [userId, now, ...HASHES.parameters(codes.map((code) => ({ code_hash: hashToken(code) })))],
  );
  const shown = codes.map((code) => code.replace(/(.{4})(?=.)/g, '$1-'));
  return {
    reply: ok<RecoveryCodes>({ recovery_codes: shown }),
    storedReply: ok<RecoveryCodes>({ recovery_codes: null }),
  };
}
