import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { hashToken } from '../../../platform/auth/session-token.ts';
import type { CallServices } from '../../../platform/call/call.ts';
import { binding, open, seal } from '../../../platform/crypto/sealing.ts';
import type { DataKey } from '../../../platform/crypto/data-keys.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';

/** RFC 6238 with what every authenticator app has: SHA-1, six digits, 30 seconds. */
const TOTP_OPTIONS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;
const STEP_MS = TOTP_OPTIONS.period * 1000;
/** A phone's clock may be half a minute wrong, and a person types for some seconds. */
const STEPS_AROUND = 1;

/** What the secret is bound to: it opens for its person only. */
const bindingOf = (userId: string): Buffer => binding(PLATFORM_TENANT, `totp:${userId}`);

/** Seals a secret for its row. */
export function sealSecret(key: DataKey, userId: string, secret: Uint8Array): Buffer {
  return seal(key.key, secret, bindingOf(userId));
}

/** The secret as authenticator apps take it. */
export async function describeSecret(
  secret: Uint8Array,
  label: string,
): Promise<{ readonly secret: string; readonly otpauth_uri: string }> {
  const { Secret, TOTP } = await import('otpauth');
  // The library takes the whole buffer, of which Node.js may have given a part.
  const own = new Secret({ buffer: new Uint8Array(secret).buffer });
  const totp = new TOTP({ ...TOTP_OPTIONS, issuer: 'Comply-AI', label, secret: own });
  return { secret: own.base32, otpauth_uri: totp.toString() };
}

/** A person's second factor, opened. */
export interface SecondFactor {
  readonly secret: Uint8Array;
  readonly isConfirmed: boolean;
}

/** A person's second factor; undefined without one. */
export async function findSecondFactor(
  database: CrossTenantDatabase,
  { dataKeys }: Pick<CallServices, 'dataKeys'>,
  userId: string,
): Promise<SecondFactor | undefined> {
  const [row] = await database.query<{
    secret_sealed: Buffer;
    encryption_key_id: string;
    is_confirmed: boolean;
  }>(
    `select secret_sealed, encryption_key_id, confirmed_at is not null as is_confirmed from ops.user_totp where user_id = $1`,
    [userId],
  );
  if (row === undefined) return undefined;
  const { key } = await dataKeys.find(PLATFORM_TENANT, row.encryption_key_id);
  return { secret: open(key, row.secret_sealed, bindingOf(userId)), isConfirmed: row.is_confirmed };
}

/** The step of time that a code belongs to; undefined for a code of none of the present ones. */
async function stepOf({ secret }: SecondFactor, code: string, now: Date): Promise<number | undefined> {
  const { Secret, TOTP } = await import('otpauth');
  const totp = new TOTP({ ...TOTP_OPTIONS, secret: new Secret({ buffer: new Uint8Array(secret).buffer }) });
  const delta = totp.validate({ token: code, timestamp: now.getTime(), window: STEPS_AROUND });
  return delta === null ? undefined : Math.floor(now.getTime() / STEP_MS) + delta;
}

/** Uses a code, in the caller's transaction. False if it is wrong or was used: a code, and all before it, counts once. */
export async function useTotpCode(
  queries: Pick<CrossTenantDatabase, 'query'>,
  userId: string,
  factor: SecondFactor,
  code: string,
  now: Date,
): Promise<boolean> {
  const step = await stepOf(factor, code, now);
  if (step === undefined) return false;
  const rows = await queries.query(
    `update ops.user_totp set last_step = $2, confirmed_at = coalesce(confirmed_at, $3)
      where user_id = $1 and last_step < $2 and (confirmed_at is not null) = $4
     returning user_id`,
    [userId, step, now, factor.isConfirmed],
  );
  return rows.length === 1;
}

/** Uses a recovery code, in the caller's transaction. False if it is unknown or was used. */
export async function useRecoveryCode(
  queries: Pick<CrossTenantDatabase, 'query'>,
  userId: string,
  code: string,
  now: Date,
): Promise<boolean> {
  const rows = await queries.query(
    `update ops.recovery_codes set used_at = $3 where user_id = $1 and code_hash = $2 and used_at is null returning user_id`,
    [userId, hashToken(code), now],
  );
  return rows.length === 1;
}
