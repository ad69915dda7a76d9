import { Problem } from '../../../platform/call/problem.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { hashPassword } from './password-hash.ts';
import { findPasswordFaults } from './password-rules.ts';

/**
 * Gives a person a new password, in the caller's transaction, and ends a lock. The caller ends the person's sessions, after this.
 * `pointer`: where the password is in the request.
 * @throws Problem 400 with all faults of the password; 404 if there is no such person; 503 when too many people sign in.
 */
export async function setPassword(
  transaction: CrossTenantTransaction,
  userId: string,
  password: string,
  now: Date,
  pointer = '/password',
): Promise<void> {
  // Locked before it is changed: a sign-in with the old password is over, or finds that the password was changed.
  const [person] = await transaction.query<{ email: string | null }>(
    `select email from users where user_id = $1 for update`,
    [userId],
  );
  if (person === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such person.' });
  const faults = await findPasswordFaults(password, person.email);
  if (faults.length > 0)
    throw new Problem('INVALID_REQUEST', { errors: faults.map((detail) => ({ pointer, detail })) });
  await transaction.query(
    `update users set password_hash = $2, password_changed_at = $3, failed_sign_ins = 0, locked_until = null,
       updated_at = $3, version = version + 1
      where user_id = $1`,
    [userId, await hashPassword(password), now],
  );
}
