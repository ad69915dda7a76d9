import type { Permission } from '../../platform/auth/permissions.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { RATE_PER_DAY_DEFAULT, RATE_PER_HOUR_DEFAULT } from './schemas.ts';

/** A key's rights. A key gives at most its own rights to a new key, so that a leaked key cannot gain rights or time. */
export interface Grants {
  readonly permissions: readonly Permission[];
  readonly rateLimitPerHour: number;
  readonly rateLimitPerDay: number;
  /** Null: never. */
  readonly expiresAt: Date | null;
}

/** The limits that a body asks for. Undefined ones follow from the calling key. */
export interface WantedLimits {
  readonly rate_limit_per_hour?: number | undefined;
  readonly rate_limit_per_day?: number | undefined;
  readonly expires_at?: string | null | undefined;
}

/**
 * When the calling key ends; null if it does not, and for people: a session or a token is short, and what a person makes lasts as long
 * as the person holds what it has.
 */
export function endOfCaller({ principal }: Call): Date | null {
  return principal.kind === 'key' ? principal.expiresAt : null;
}

/**
 * The grants of a new key.
 * @throws Problem 403 for more than the calling key has, 400 for an expiry in the past.
 */
export function grantsOfNewKey(call: Call, permissions: readonly Permission[], wanted: WantedLimits): Grants {
  const own = call.principal;
  const grants = {
    permissions,
    rateLimitPerHour: wanted.rate_limit_per_hour ?? Math.min(RATE_PER_HOUR_DEFAULT, own.rateLimitPerHour),
    rateLimitPerDay: wanted.rate_limit_per_day ?? Math.min(RATE_PER_DAY_DEFAULT, own.rateLimitPerDay),
    expiresAt: wanted.expires_at === undefined ? endOfCaller(call) : readExpiry(call, wanted.expires_at),
  };
  refuseMoreThanHeld(call, grants);
  return grants;
}

/**
 * Reads a body's expiry; null means never.
 * @throws Problem 400 for one in the past.
 */
export function readExpiry(call: Call, expiresAt: string | null): Date | null {
  if (expiresAt === null) return null;
  if (Date.parse(expiresAt) > call.now.getTime()) return new Date(expiresAt);
  throw new Problem('INVALID_REQUEST', { errors: [{ pointer: '/expires_at', detail: 'has passed' }] });
}

/** @throws Problem 403 that names everything that the calling key does not have. */
export function refuseMoreThanHeld(call: Call, grants: Grants): void {
  const own = call.principal;
  const beyond: string[] = grants.permissions.filter((permission) => !own.permissions.has(permission));
  if (grants.rateLimitPerHour > own.rateLimitPerHour)
    beyond.push(`rate_limit_per_hour above ${own.rateLimitPerHour}`);
  if (grants.rateLimitPerDay > own.rateLimitPerDay)
    beyond.push(`rate_limit_per_day above ${own.rateLimitPerDay}`);
  const end = endOfCaller(call);
  if (isLater(grants.expiresAt, end)) beyond.push(`expires_at after ${end?.toISOString() ?? 'never'}`);
  if (beyond.length === 0) return;
  throw new Problem('INSUFFICIENT_RBAC', {
    detail: `The calling key cannot give what it does not have: ${beyond.join(', ')}.`,
  });
}

function isLater(expiry: Date | null, than: Date | null): boolean {
  if (than === null) return false;
  return expiry === null || expiry.getTime() > than.getTime();
}
