import type { IdentityProvider } from '../../../platform/auth/identity-provider.ts';
import type { TokenCaller } from './caller.ts';
import type { IssuerKeys } from './issuer-keys.ts';

/** A token that was checked. Of the token itself only its hash is kept. */
export interface CheckedToken {
  /** SHA-256 of its text. */
  readonly id: string;
  readonly tenantId: string;
  readonly provider: IdentityProvider;
  readonly caller: TokenCaller;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
}

/** What a token's check depends on. */
interface Basis {
  /** The text of its provider's settings. */
  readonly text: string;
  readonly keys: IssuerKeys;
  /** When the token is over, leeway included. */
  readonly until: number;
}

/** One more, and all are forgotten, and checked again when they come. */
const MEMORY_MAX = 10_000;

/** A remembered check. */
class Remembered {
  readonly token: CheckedToken;
  readonly #basis: Basis;
  readonly #keysVersion: number;

  constructor(token: CheckedToken, basis: Basis) {
    this.token = token;
    this.#basis = basis;
    this.#keysVersion = basis.keys.version;
  }

  get issuer(): string {
    return this.token.provider.issuer;
  }

  /** Whether a new check would have the same result: the same settings, the same keys, and the token is not over. */
  isGood(providerText: string, now: Date): boolean {
    const { text, keys, until } = this.#basis;
    return now.getTime() < until && text === providerText && keys.version === this.#keysVersion;
  }
}

/** Remembers tokens that were checked, so that a known one costs about what an API key costs. */
export class TokenMemory {
  readonly #known = new Map<string, Remembered>();

  /** A token by its hash, in one tenant: another may believe another issuer. */
  find(tenantId: string, id: string): Remembered | undefined {
    return this.#known.get(`${tenantId} ${id}`);
  }

  keep(token: CheckedToken, basis: Basis): void {
    if (this.#known.size >= MEMORY_MAX) this.#known.clear();
    this.#known.set(`${token.tenantId} ${token.id}`, new Remembered(token, basis));
  }
}
