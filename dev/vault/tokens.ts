import { randomBytes } from 'node:crypto';

/** How long a token is valid. Entra's are valid for about an hour. */
const LIFETIME_S = 3_600;

/** The tokens that were given out, and for what. */
export class Tokens {
  readonly #audiences = new Map<string, string>();

  /** A token for a resource, as a token endpoint answers with it. */
  issue(resource: string): { access_token: string; token_type: 'Bearer'; expires_in: number } {
    const token = `stand-in-${randomBytes(24).toString('base64url')}`;
    this.#audiences.set(token, resource);
    return { access_token: token, token_type: 'Bearer', expires_in: LIFETIME_S };
  }

  /** Whether a header has a token for a resource. */
  accepts(authorization: string | undefined, resource: string): boolean {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
    return token !== undefined && this.#audiences.get(token) === resource;
  }

  /** Ends every token, as if all had expired. */
  revokeAll(): void {
    this.#audiences.clear();
  }
}
