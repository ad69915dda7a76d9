import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import { hashPassword } from './password-hash.ts';

/** A person of a local stack. */
export interface PersonToSeed {
  readonly email: string;
  readonly firstName: string;
  readonly password: string;
  /** Role by tenant. */
  readonly roles: Readonly<Record<string, string>>;
}

/** Makes a person with roles and a confirmed address, for a local stack and for tests. An existing person gets the password. */
export async function seedPerson(
  transaction: CrossTenantTransaction,
  { email, firstName, password, roles }: PersonToSeed,
  now: Date,
): Promise<string> {
  const [person] = await transaction.query<{ user_id: string }>(
    `insert into users (user_id, email, first_name, password_hash, password_changed_at, is_verified, email_verified_at,
       created_at, updated_at)
     values ($1, $2, $3, $4, $5, true, $5, $5, $5)
     on conflict (email) do update set password_hash = excluded.password_hash returning user_id`,
    [newId(now), email, firstName, await hashPassword(password), now],
  );
  if (person === undefined) throw new Error('the person was not made');
  for (const [tenantId, role] of Object.entries(roles))
    await transaction.query(
      `insert into user_role_assignments (tenant_id, user_id, role_name, assigned_by, assigned_at, updated_at)
       values ($1, $2, $3, 'seed', $4, $4) on conflict do nothing`,
      [tenantId, person.user_id, role, now],
    );
  return person.user_id;
}
