import type { Authenticator, CredentialRequest, Principal } from '../../platform/auth/principal.ts';
import type { CallServices, CredentialMemory } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { count } from '../../platform/telemetry/metrics.ts';
import { ApiKeyAuthenticator } from './api-key-authenticator.ts';
import { isToken } from './oidc/claims.ts';
import { TokenAuthenticator, type TokenServices } from './oidc/token-authenticator.ts';
import { originOf, RefusalAudit } from './refusal-audit.ts';
import { refusedCredential } from './refused-credential.ts';
import { PersonChanges } from './sessions/person-changes.ts';
import { cookieToken, SessionAuthenticator } from './sessions/session-authenticator.ts';

/** Checks every kind of credential. A credential's form says which kind it is. */
export class CredentialAuthenticator implements Authenticator, CredentialMemory {
  readonly #keys: ApiKeyAuthenticator;
  readonly #sessions: SessionAuthenticator;
  readonly #tokens: TokenAuthenticator;
  readonly #changes: PersonChanges;
  readonly #refusals: RefusalAudit;

  constructor(services: Pick<CallServices, 'cache'> & TokenServices) {
    const { settings, crossTenant, cache } = services;
    this.#changes = new PersonChanges(cache);
    this.#keys = new ApiKeyAuthenticator(crossTenant.core, settings, this.#changes);
    this.#sessions = new SessionAuthenticator(crossTenant.core, settings, this.#changes);
    this.#refusals = new RefusalAudit(services);
    this.#tokens = new TokenAuthenticator(services, this.#changes, this.#refusals);
  }

  /**
   * The principal of a request: `Authorization: Bearer` with a key, a session's token or a token of the tenant's identity
   * provider, `X-API-Key`, or a session's cookie, in this order.
   * @throws Problem 401 that says what is wrong with the credential; 403 for a cookie from another site's page.
   */
  authenticate(request: CredentialRequest, now: Date): Promise<Principal> {
    const bearer = bearerOf(request.headers);
    if (bearer !== undefined) return this.#authenticateBearer(bearer, request, now);
    const key = request.headers.get('x-api-key')?.trim();
    if (key !== undefined) return this.#keys.authenticate(key, now);
    const token = cookieToken(request);
    if (token !== undefined) return this.#authenticateCookie(token, request, now);
    throw refusedCredential(
      'missing',
      'Send an API key, a session’s token or a token of your identity provider as Authorization: Bearer, or an API key as X-API-Key.',
    );
  }

  forget(keyId: string): void {
    this.#keys.forget(keyId);
  }

  forgetPerson(userId: string): void {
    this.#changes.note(userId);
  }

  /** A cookie that another site's page sent is a denied request of its person, who should learn of it. */
  async #authenticateCookie(token: string, request: CredentialRequest, now: Date): Promise<Principal> {
    const principal = await this.#sessions.authenticate(token, now);
    if (!this.#sessions.isFromElsewhere(request)) return principal;
    const { tenantId, userId } = principal;
    const refusal = { action: 'session.denied', credential: 'cookie', reason: 'other_origin' } as const;
    this.#refusals.note({ ...refusal, tenantId, userId }, originOf(request), now);
    count('access_denials_total', { code: 'INSUFFICIENT_RBAC' });
    throw new Problem('INSUFFICIENT_RBAC', {
      detail:
        'A session’s cookie counts only from a page of this API’s own origin: send the token as Authorization: Bearer.',
    });
  }

  #authenticateBearer(credential: string, request: CredentialRequest, now: Date): Promise<Principal> {
    if (credential.startsWith('cas_')) return this.#sessions.authenticate(credential, now);
    return isToken(credential)
      ? this.#tokens.authenticate(credential, request, now)
      : this.#keys.authenticate(credential, now);
  }
}

/** The credential of `Authorization: Bearer`, empty for another scheme; undefined without the header. */
function bearerOf(headers: CredentialRequest['headers']): string | undefined {
  const authorization = headers.get('authorization');
  if (authorization === null) return undefined;
  return /^bearer +(\S+)$/i.exec(authorization.trim())?.[1] ?? '';
}
