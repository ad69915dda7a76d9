import type { Permission } from './permissions.ts';

/** The tenant that owns the platform's own keys and defaults. */
export const PLATFORM_TENANT = 'platform';

/** Who is asking. The tenant comes from the credential alone. */
export interface Principal {
  readonly tenantId: string;
  readonly keyId: string;
  readonly permissions: ReadonlySet<Permission>;
  readonly rateLimitPerHour: number;
  readonly rateLimitPerDay: number;
  /** When the credential ends; null: it does not. */
  readonly expiresAt: Date | null;
}

/** Finds out who sent a request. */
export interface Authenticator {
  /**
   * The principal of a request's headers.
   * @throws Problem 401 with the reason.
   */
  authenticate(headers: Headers, now: Date): Promise<Principal>;
}
