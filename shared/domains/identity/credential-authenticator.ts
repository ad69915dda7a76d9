import type { Authenticator, CredentialRequest, Principal } from '../../platform/auth/principal.ts';
import type { CallServices, CredentialMemory } from '../../platform/call/call.ts';
import { ApiKeyAuthenticator } from './api-key-authenticator.ts';
import { refusedCredential } from './refused-credential.ts';
import { PersonChanges } from './sessions/person-changes.ts';
import { SessionAuthenticator } from './sessions/session-authenticator.ts';

/** Checks every kind of credential. A credential's form says which kind it is. */
export class CredentialAuthenticator implements Authenticator, CredentialMemory {
  readonly #keys: ApiKeyAuthenticator;
  readonly #sessions: SessionAuthenticator;
  readonly #changes: PersonChanges;

  constructor({ settings, crossTenant, cache }: Pick<CallServices, 'settings' | 'crossTenant' | 'cache'>) {
    this.#changes = new PersonChanges(cache);
    this.#keys = new ApiKeyAuthenticator(crossTenant.core, settings, this.#changes);
    this.#sessions = new SessionAuthenticator(crossTenant.core, settings, this.#changes);
  }

  /**
   * The principal of a request: `Authorization: Bearer` with a key or a session's token, `X-API-Key`, or a session's cookie, in
   * this order.
   * @throws Problem 401 that says what is wrong with the credential; 403 for a cookie from another site's page.
   */
  authenticate(request: CredentialRequest, now: Date): Promise<Principal> {
    const bearer = bearerOf(request.headers);
    if (bearer !== undefined) return this.#authenticateBearer(bearer, now);
    const key = request.headers.get('x-api-key')?.trim();
    if (key !== undefined) return this.#keys.authenticate(key, now);
    const token = this.#sessions.cookieToken(request);
    if (token !== undefined) return this.#sessions.authenticate(token, now);
    throw refusedCredential(
      'missing',
      'Send an API key or a session’s token as Authorization: Bearer, or an API key as X-API-Key.',
    );
  }

  forget(keyId: string): void {
    this.#keys.forget(keyId);
  }

  forgetPerson(userId: string): void {
    this.#changes.note(userId);
  }

  #authenticateBearer(credential: string, now: Date): Promise<Principal> {
    return credential.startsWith('cas_')
      ? this.#sessions.authenticate(credential, now)
      : this.#keys.authenticate(credential, now);
  }
}

/** The credential of `Authorization: Bearer`, empty for another scheme; undefined without the header. */
function bearerOf(headers: CredentialRequest['headers']): string | undefined {
  const authorization = headers.get('authorization');
  if (authorization === null) return undefined;
  return /^bearer +(\S+)$/i.exec(authorization.trim())?.[1] ?? '';
}
