import type { Permission } from './permissions.ts';

/** The tenant that owns the platform's own keys and defaults. */
export const PLATFORM_TENANT = 'platform';

/** Who sends a request. The tenant comes only from the credential. */
export interface Principal {
  readonly tenantId: string;
  readonly keyId: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly rateLimitPerHour: number;
  readonly rateLimitPerDay: number;
  /** When the credential expires; null if it does not. */
  readonly expiresAt: Date | null;
}

/** Finds out who sent a request. */
export interface Authenticator {
  /** Returns the principal of a request's headers. */
  authenticate(headers: Headers, now: Date): Promise<Principal>;
}
