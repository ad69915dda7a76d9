import type { Permission } from '../../../platform/auth/permissions.ts';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { heldRolesSql, heldUntil, readHeldRoles } from './held-roles.ts';

/** Until when a permission is held: null for good, undefined if it is not held. */
type EndOf = (permission: Permission) => Date | null | undefined;

/**
 * Refuses a caller who gives, takes or changes what they do not hold themselves. What a person holds is read in the transaction, so
 * that a role which ended a moment ago gives nothing.
 *
 * `until`: how long it is given; null for good. Nobody gives what they hold for a time for longer: else a person with a role until
 * tonight could have it for good. Undefined if nothing is given.
 * @throws Problem 403 that names what is beyond the caller.
 */
export async function requireHeld(
  call: Call,
  transaction: Pick<TenantTransaction, 'query'>,
  permissions: Iterable<Permission>,
  until?: Date | null,
): Promise<void> {
  const endOf = await holdingsOf(call, transaction);
  const wanted = [...new Set(permissions)];
  const beyond = wanted.filter((permission) => endOf(permission) === undefined);
  if (beyond.length > 0)
    throw new Problem('INSUFFICIENT_RBAC', {
      detail: `The caller does not hold everything that this is about: ${beyond.join(', ')}.`,
    });
  if (until === undefined) return;
  const short = wanted.filter((permission) => isSooner(endOf(permission), until));
  if (short.length > 0)
    throw new Problem('INSUFFICIENT_RBAC', {
      detail: `The caller cannot give for longer than they hold it themselves: ${short.join(', ')}.`,
    });
}

async function holdingsOf(call: Call, transaction: Pick<TenantTransaction, 'query'>): Promise<EndOf> {
  const { principal } = call;
  const keyEnd = principal.kind === 'key' ? principal.expiresAt : null;
  if (principal.makerId === null)
    return (permission) => (principal.permissions.has(permission) ? keyEnd : undefined);
  const [row] = await transaction.query<{ held: unknown }>(
    `select ${heldRolesSql('$1', '$2::uuid')} as held`,
    [call.tenant.tenantId, principal.makerId],
  );
  const ends = heldUntil(readHeldRoles(row?.held), call.now);
  return (permission) => {
    const end = principal.permissions.has(permission) ? ends.get(permission) : undefined;
    return end !== undefined && isSooner(keyEnd, end) ? keyEnd : end;
  };
}

/** Null is for good. */
function isSooner(end: Date | null | undefined, than: Date | null): boolean {
  return end !== null && end !== undefined && (than === null || end < than);
}
