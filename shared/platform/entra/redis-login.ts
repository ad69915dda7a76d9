import { setTimeout as delay } from 'node:timers/promises';
import type { AccessToken, TokenCredential } from '@azure/identity';
import type { Redis } from 'ioredis';
import { errorFields, log } from '../log/log.ts';

/** The scope of Azure Managed Redis. */
const SCOPE = 'https://redis.azure.com/.default';
/** The part of a token's remaining life after which the connection signs in again. Azure's tokens live about an hour. */
const RENEW_AT = 0.75;
/** The shortest pause: also between attempts while Entra gives no token, or the same one as before. */
const PAUSE_MS = 1_000;
/** Sent until there is a token: Redis refuses it, and the client tries again. */
const NO_TOKEN = 'no-token-yet';

const logFailure = (error: unknown): void => log.warn('redis-token-failed', errorFields(error));

/**
 * Signs a client in to Redis with tokens. Redis ends a connection when its token expires, so this sends a new one on the live
 * connection before. The client has the newest token for its next connection too.
 */
export class RedisLogin {
  readonly #credential: () => Promise<TokenCredential>;
  #token: AccessToken | undefined;
  #client: Redis | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(credential: () => Promise<TokenCredential>) {
    this.#credential = credential;
  }

  /** The password for the first connection. Without a token within `waitMs`, one that Redis refuses. Never rejects. */
  async begin(waitMs: number): Promise<string> {
    await Promise.race([this.#renew(), delay(waitMs, undefined, { ref: false })]);
    return this.#token?.token ?? NO_TOKEN;
  }

  /** Keeps this client signed in until {@link stop}. */
  keep(client: Redis): void {
    this.#client = client;
    if (this.#token !== undefined) client.options.password = this.#token.token;
    // A token may be renewed while a connection is made with the old one.
    client.on('ready', () => void this.#signIn(client).catch(logFailure));
  }

  /** Asks for no more tokens. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #renew(): Promise<void> {
    try {
      const token = await (await this.#credential()).getToken(SCOPE);
      if (token === null) throw new Error('no token for Redis');
      this.#token = token;
      if (this.#client !== undefined) await this.#signIn(this.#client);
    } catch (error) {
      logFailure(error);
    }
    if (this.#stopped) return;
    const left = (this.#token?.expiresOnTimestamp ?? 0) - Date.now();
    // Not refused while a token is missing, and early enough to try again while the old one is valid.
    this.#timer = setTimeout(() => void this.#renew(), Math.max(PAUSE_MS, left * RENEW_AT)).unref();
  }

  /** A client that is not connected signs in when it is. */
  async #signIn(client: Redis): Promise<void> {
    if (this.#token === undefined) return;
    client.options.password = this.#token.token;
    if (client.status === 'ready') await client.auth(client.options.username ?? 'default', this.#token.token);
  }
}
