import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleAll,
  type CircuitBreakerPolicy,
} from 'cockatiel';
import type { TokenCredential } from '@azure/identity';
import type { Redis } from 'ioredis';
import type { z } from 'zod';
import { RedisLogin } from '../entra/redis-login.ts';
import { errorFields, log } from '../log/log.ts';
import { counterOf } from '../telemetry/metrics.ts';
import { tellTlsFault, tlsOfRedis } from '../tls/tls.ts';
import { defineLimiterCommand } from './limiter-command.ts';

/**
 * A Redis that needs longer is unavailable, or slower than the database behind it. Three such timeouts in a row open the
 * breaker. The pauses of a busy machine are shorter.
 */
const COMMAND_TIMEOUT_MS = 250;
const CONNECT_TIMEOUT_MS = 500;
/** The breaker opens after this many failures in a row. While it is open, no request waits for Redis. */
const FAILURES_TO_OPEN = 3;
/** How often an unavailable Redis is checked. The check runs in the background, so no request waits for it. */
const PROBE_EVERY_MS = 1_000;

/** Values are collected for this long and sent together: one by one, each would cost a system call and a wait. */
const GATHER_MS = 20;
/** The most collected values. The rest is not kept: memory must be limited, and a cache may forget. */
const GATHERED_MAX = 5_000;

/** Keys that Redis looks at in one step of a walk: a few milliseconds. */
const SCANNED_AT_ONCE = 1_000;

const countHit = counterOf('cache_lookups_total', { cache: 'redis', outcome: 'hit' });
const countMiss = counterOf('cache_lookups_total', { cache: 'redis', outcome: 'miss' });

/** The answer of Redis; undefined when Redis is absent, slow or unavailable. */
type Answer<T> = T | undefined;

/** How a cache's Redis is reached. */
export interface CacheOptions {
  /** Authorities that the server's certificate may have, besides those that Node knows. */
  readonly extraCa?: readonly string[];
  /** With a credential, its tokens are the passwords of the URL's user. */
  readonly credential?: () => Promise<TokenCredential>;
}

/**
 * Redis as a cache: never a lock, never the only copy. Every call returns quickly. Without Redis it returns undefined, and
 * at once while the breaker is open.
 */
export class Cache {
  readonly #url: string | undefined;
  readonly #prefix: string;
  readonly #extraCa: readonly string[];
  readonly #breaker: CircuitBreakerPolicy;
  readonly #login: RedisLogin | undefined;
  #client: Promise<Redis | undefined> | undefined;
  #probing: NodeJS.Timeout | undefined;
  #gathered = new Map<string, { readonly text: string; readonly ttlSeconds: number }>();
  #sending: NodeJS.Timeout | undefined;

  constructor(url: string | undefined, prefix: string, { extraCa = [], credential }: CacheOptions = {}) {
    this.#url = url;
    this.#login = credential === undefined ? undefined : new RedisLogin(credential);
    this.#prefix = prefix;
    this.#extraCa = extraCa;
    // Never half open by itself: otherwise the next request would try, and wait.
    this.#breaker = circuitBreaker(handleAll, {
      halfOpenAfter: Infinity,
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    });
    this.#breaker.onBreak((reason) => {
      if (!('isolated' in reason)) this.#holdOpen();
    });
  }

  /** Keeps the breaker open until Redis answers again. */
  #holdOpen(): void {
    log.warn('redis-breaker-open');
    const hold = this.#breaker.isolate();
    this.#probing = setInterval(() => {
      void this.ping().then((answered) => {
        if (answered === undefined || this.#probing === undefined) return;
        this.#stopProbing();
        log.info('redis-breaker-closed');
        hold.dispose();
      });
    }, PROBE_EVERY_MS).unref();
  }

  #stopProbing(): void {
    clearInterval(this.#probing);
    this.#probing = undefined;
  }

  /** Whether the breaker is open: no request waits for Redis. */
  get open(): boolean {
    return this.#breaker.state === CircuitState.Isolated;
  }

  /** Whether a Redis is configured. */
  get configured(): boolean {
    return this.#url !== undefined;
  }

  /**
   * The connected client, for libraries that use Redis directly (the rate limiter); undefined without one. Never rejects:
   * when no client can be made, Redis counts as unavailable.
   */
  async client(): Promise<Redis | undefined> {
    if (this.#url === undefined) return undefined;
    this.#client ??= this.#connect(this.#url).catch((error: unknown) => {
      log.error('redis-client-failed', errorFields(error));
      return undefined;
    });
    return this.#client;
  }

  async #connect(url: string): Promise<Redis> {
    // A CommonJS module: its exports are the default export, in Node.js and in the bundle.
    const { default: ioredis } = await import('ioredis');
    const tls = tlsOfRedis(url, this.#extraCa);
    const address = await this.#address(url);
    const client = new ioredis.Redis(address.url, {
      ...address.login,
      ...(tls === undefined ? {} : { tls }),
      keyPrefix: this.#prefix,
      commandTimeout: COMMAND_TIMEOUT_MS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: true,
      enableAutoPipelining: true,
      retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 2_000),
    });
    this.#login?.keep(client);
    defineLimiterCommand(client);
    // Without a listener, a lost connection would end the process. The breaker logs the loss once.
    client.on('error', (error: unknown) => tellTlsFault(url, error));
    // The first callers wait until the connection is made or has failed. Otherwise a limit would be counted in two places
    // from the start, and granted twice.
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CONNECT_TIMEOUT_MS);
      for (const event of ['ready', 'close'] as const) {
        client.once(event, () => {
          clearTimeout(timer);
          resolve();
        });
      }
    });
    return client;
  }

  /** Where to connect and as whom. The client would take an absent password of the URL for an empty one. */
  async #address(url: string): Promise<{ url: string; login: { username?: string; password?: string } }> {
    if (this.#login === undefined) return { url, login: {} };
    const bare = new URL(url);
    const username = decodeURIComponent(bare.username);
    bare.username = bare.password = '';
    return {
      url: bare.toString(),
      login: { username, password: await this.#login.begin(CONNECT_TIMEOUT_MS) },
    };
  }

  /** Runs one Redis operation behind the breaker. Undefined when it fails, or when the breaker is open. */
  async attempt<T>(operation: (client: Redis) => Promise<T>): Promise<Answer<T>> {
    if (this.#url === undefined || this.#breaker.state === CircuitState.Isolated) return undefined;
    try {
      const client = await this.client();
      return client === undefined ? undefined : await this.#breaker.execute(() => operation(client));
    } catch {
      return undefined;
    }
  }

  /** Reads a cached value. Undefined if it is absent or does not match its schema. */
  async read<S extends z.ZodType>(key: string, schema: S): Promise<Answer<z.output<S>>> {
    const text = this.#gathered.get(key)?.text ?? (await this.attempt((client) => client.get(key)));
    // Without an answer it is a miss too: the database is read.
    if (this.configured) (text === undefined || text === null ? countMiss : countHit)();
    if (text === undefined || text === null) return undefined;
    try {
      const parsed = schema.safeParse(JSON.parse(text));
      return parsed.success ? parsed.data : undefined;
    } catch (error) {
      log.warn('cache-value-unreadable', errorFields(error));
      return undefined;
    }
  }

  /** Stores a value for some seconds. */
  async write(key: string, value: unknown, ttlSeconds: number): Promise<void> {
    await this.attempt((client) => client.set(key, JSON.stringify(value), 'EX', ttlSeconds));
  }

  /**
   * Stores a value for some seconds. Returns at once and sends the value soon, together with others. {@link read} finds it
   * already.
   */
  keep(key: string, value: unknown, ttlSeconds: number): void {
    if (!this.configured || this.#gathered.size >= GATHERED_MAX) return;
    this.#gathered.set(key, { text: JSON.stringify(value), ttlSeconds });
    this.#sending ??= setTimeout(() => void this.#sendGathered(), GATHER_MS);
  }

  async #sendGathered(): Promise<void> {
    this.#sending = undefined;
    const gathered = [...this.#gathered];
    this.#gathered = new Map();
    const commands = gathered.map(([key, { text, ttlSeconds }]) => ['set', key, text, 'EX', ttlSeconds]);
    await this.attempt(async (client) => {
      const results = await client.pipeline(commands).exec();
      // A pipeline always resolves, so a failed command is reported to the breaker here.
      const [failed] = results?.find(([error]) => error !== null) ?? [];
      if (failed !== undefined && failed !== null) throw failed;
    });
  }

  /**
   * One step of a walk over the keys that match a pattern: the keys that it found, and where the next step begins, `0` after the
   * last one. A walk begins at `0`, and finds each key that is there all the time.
   */
  async scan(
    pattern: string,
    cursor: string,
  ): Promise<Answer<{ readonly cursor: string; readonly keys: readonly string[] }>> {
    const prefix = this.#prefix.replace(/[\\*?[\]]/g, '\\$&');
    return this.attempt(async (client) => {
      const [next, keys] = await client.scan(
        cursor,
        'MATCH',
        `${prefix}${pattern}`,
        'COUNT',
        SCANNED_AT_ONCE,
      );
      return { cursor: next, keys: keys.map((key) => key.slice(this.#prefix.length)) };
    });
  }

  /** Deletes keys. */
  async drop(...keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#gathered.delete(key);
    if (keys.length > 0) await this.attempt((client) => client.del(...keys));
  }

  /**
   * The round trip in ms, or undefined if Redis does not answer. Ignores the breaker, because this is how the breaker learns
   * that Redis is back.
   */
  async ping(): Promise<number | undefined> {
    const client = await this.client();
    if (client === undefined) return undefined;
    const start = performance.now();
    try {
      await client.ping();
      return performance.now() - start;
    } catch {
      return undefined;
    }
  }

  /** Closes the connection. */
  async close(): Promise<void> {
    this.#stopProbing();
    this.#login?.stop();
    if (this.#sending !== undefined) {
      clearTimeout(this.#sending);
      await this.#sendGathered();
    }
    const client = await this.#client;
    client?.disconnect();
  }
}
