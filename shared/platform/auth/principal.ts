import type { Permission } from './permissions.ts';

/** The tenant that owns the platform's own keys and defaults. */
export const PLATFORM_TENANT = 'platform';

/**
 * How a caller is known. `key`: an API key. `session`: a person who signed in here. `oidc_person`, `oidc_service`: a token of the
 * tenant's own identity provider.
 */
export type PrincipalKind = 'key' | 'session' | 'oidc_person' | 'oidc_service';

/** Who sends a request. The tenant comes from the credential; with a token of an identity provider, from `X-Tenant-Id`. */
export interface Principal {
  readonly kind: PrincipalKind;
  readonly tenantId: string;
  /** Who acts, for the audit trail and for columns like `created_by`: `key:<id>`, `user:<id>`, `service:<id>`. */
  readonly actor: string;
  /** Whose requests the rate limit counts: the key's id, or the person or service. */
  readonly credentialId: string;
  /** The person who acts; null for keys and services. */
  readonly userId: string | null;
  /** The person who answers for what the caller makes: the person, or the person who made the key. Null if there is none. */
  readonly makerId: string | null;
  /** The session, if there is one. */
  readonly sessionId: string | null;
  /** Names of the roles that give the permissions. Keys have none. */
  readonly roles: readonly string[];
  readonly permissions: ReadonlySet<Permission>;
  /** When the first of the roles ends that give them; null if none of them does. */
  readonly permissionsUntil: Date | null;
  readonly rateLimitPerHour: number;
  readonly rateLimitPerDay: number;
  /** When the credential expires; null if it does not. */
  readonly expiresAt: Date | null;
}

/** The parts of a request that say who sent it. */
export interface CredentialRequest {
  readonly method: string;
  readonly headers: Pick<Headers, 'get'>;
}

/** Finds out who sent a request. */
export interface Authenticator {
  /**
   * Returns the principal of a request.
   * @throws Problem 401; 403 for a cookie that another site's page sent.
   */
  authenticate(request: CredentialRequest, now: Date): Principal | Promise<Principal>;
}
