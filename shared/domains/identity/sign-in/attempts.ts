import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { isPasswordOf } from './password-hash.ts';

/** After so many failures in a row, attempts are refused for a pause. */
const FAILURES_MAX = 10;
/**
 * The first pause is a minute, each one twice the last. The longest is an hour: somebody who does not know the password must not keep
 * a person out for longer. A new password by mail ends a pause.
 */
const PAUSE_MAX_MINUTES = 60;

/** An attempt to prove a person's password. */
export interface Attempt {
  readonly [column: string]: unknown;
  readonly user_id: string;
  readonly email: string | null;
  readonly password_hash: string | null;
  readonly is_active: boolean;
  readonly is_verified: boolean;
  /** False during a pause. */
  readonly is_admitted: boolean;
  readonly failed_sign_ins: number;
  /** The end of the pause that begins if this attempt fails; null if none does. */
  readonly locked_until: string | null;
}

/**
 * Begins an attempt; undefined if there is no such person. It is counted as failed before the password is checked, in one update,
 * so that attempts at the same time are not more than may fail. {@link forgiveAttempt} takes it back.
 */
export async function beginAttempt(
  database: CrossTenantDatabase,
  of: { readonly email: string } | { readonly userId: string },
  now: Date,
): Promise<Attempt | undefined> {
  const [column, value] = 'email' in of ? ['email', of.email] : ['user_id', of.userId];
  const [attempt] = await database.query<Attempt>(
    `with admitted as (
       update users u set failed_sign_ins = u.failed_sign_ins + 1,
         locked_until = case when u.failed_sign_ins + 1 >= ${FAILURES_MAX} then $2::timestamptz + interval '1 minute'
           * least(power(2, least(u.failed_sign_ins + 1 - ${FAILURES_MAX}, 10)), ${PAUSE_MAX_MINUTES}) end
        where u.${column} = $1 and (u.locked_until is null or u.locked_until <= $2)
       returning u.user_id, u.failed_sign_ins, u.locked_until)
     select u.user_id, u.email, u.password_hash, u.is_active, u.is_verified, a.user_id is not null as is_admitted,
            coalesce(a.failed_sign_ins, u.failed_sign_ins) as failed_sign_ins, a.locked_until
       from users u left join admitted a on a.user_id = u.user_id
      where u.${column} = $1`,
    [value, now],
  );
  return attempt;
}

/** Takes an attempt back that gave the right password: it does not count as failed. What others did meanwhile stays. */
export async function forgiveAttempt(database: CrossTenantDatabase, attempt: Attempt): Promise<void> {
  if (!attempt.is_admitted) return;
  await database.query(
    `update users set failed_sign_ins = greatest(failed_sign_ins - 1, 0),
       locked_until = case when locked_until = $2::timestamptz then null else locked_until end
      where user_id = $1`,
    [attempt.user_id, attempt.locked_until],
  );
}

/**
 * Whether an attempt gives the person's password. It takes the same time for nobody, for a person who is not active or has no
 * password, and during a pause; for these it is false.
 * @throws what the check throws. The attempt then does not count.
 */
export async function isRightPassword(
  database: CrossTenantDatabase,
  attempt: Attempt | undefined,
  password: string,
): Promise<boolean> {
  const counts = attempt !== undefined && attempt.is_admitted && attempt.is_active;
  try {
    return await isPasswordOf(counts ? attempt.password_hash : null, password);
  } catch (error) {
    if (attempt !== undefined) await forgiveAttempt(database, attempt);
    throw error;
  }
}

/** Why an attempt failed, for the audit trail and the metric. Clients do not learn it. */
export function failureOf(
  attempt: Attempt | undefined,
): 'unknown_person' | 'locked' | 'inactive' | 'password' {
  if (attempt === undefined) return 'unknown_person';
  if (!attempt.is_admitted) return 'locked';
  return attempt.is_active && attempt.password_hash !== null ? 'password' : 'inactive';
}
