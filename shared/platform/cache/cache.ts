import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleAll,
  type CircuitBreakerPolicy,
} from 'cockatiel';
import type { Redis } from 'ioredis';
import type { z } from 'zod';
import { errorFields, log } from '../log/log.ts';

/**
 * A cache that has not answered by then is gone, or slower than the database it spares. Three such waits in a row open
 * the breaker; a busy machine's pauses stay below it.
 */
const COMMAND_TIMEOUT_MS = 250;
const CONNECT_TIMEOUT_MS = 500;
/** So many failures in a row open the breaker; while it is open nobody waits for Redis. */
const FAILURES_TO_OPEN = 3;
/** How often a Redis that is gone is asked whether it is back. Nobody waits for that: no request is the one that tries. */
const PROBE_EVERY_MS = 1_000;

/** Values to keep are sent together: one by one, each would cost a system call and a wait of its own. */
const GATHER_MS = 20;
/** Beyond this many the rest is not kept: memory is bounded, and a cache may forget. */
const GATHERED_MAX = 5_000;

/** What Redis answers, or undefined when it is absent, slow or gone. */
type Answer<T> = T | undefined;

/**
 * Redis as a cache: never a claim, never the only copy. Every call answers quickly; with Redis gone it answers
 * undefined, at once while the breaker is open.
 */
export class Cache {
  readonly #url: string | undefined;
  readonly #prefix: string;
  readonly #breaker: CircuitBreakerPolicy;
  #client: Promise<Redis | undefined> | undefined;
  #probing: NodeJS.Timeout | undefined;
  #gathered = new Map<string, { readonly text: string; readonly ttlSeconds: number }>();
  #sending: NodeJS.Timeout | undefined;

  constructor(url: string | undefined, prefix: string) {
    this.#url = url;
    this.#prefix = prefix;
    // Never half open by itself: then the next request would try, and wait.
    this.#breaker = circuitBreaker(handleAll, {
      halfOpenAfter: Infinity,
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    });
    this.#breaker.onBreak((reason) => {
      if (!('isolated' in reason)) this.#holdOpen();
    });
  }

  /** Holds the breaker open until Redis answers again. */
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

  /** Whether a Redis is configured at all. */
  get configured(): boolean {
    return this.#url !== undefined;
  }

  /**
   * The connected client for libraries that speak Redis themselves (the rate limiter); undefined without one. It never
   * rejects: a client that cannot be made is a Redis that is gone.
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
    // CommonJS: what it exports is the default, in Node and in the bundle alike.
    const { default: ioredis } = await import('ioredis');
    const client = new ioredis.Redis(url, {
      keyPrefix: this.#prefix,
      commandTimeout: COMMAND_TIMEOUT_MS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: true,
      enableAutoPipelining: true,
      retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 2_000),
    });
    // Without a listener a lost connection would end the process; what it means is said once, by the breaker.
    client.on('error', () => undefined);
    // The first who ask wait for the connection, or for the word that there is none: a limit that is counted in two
    // places from the start would be granted twice.
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

  /** Runs one Redis operation behind the breaker; undefined when it fails, or is not begun because Redis is gone. */
  async attempt<T>(operation: (client: Redis) => Promise<T>): Promise<Answer<T>> {
    if (this.#url === undefined || this.#breaker.state === CircuitState.Isolated) return undefined;
    try {
      const client = await this.client();
      return client === undefined ? undefined : await this.#breaker.execute(() => operation(client));
    } catch {
      return undefined;
    }
  }

  /** A cached value that still fits its schema; undefined otherwise. */
  async read<S extends z.ZodType>(key: string, schema: S): Promise<Answer<z.output<S>>> {
    const text = this.#gathered.get(key)?.text ?? (await this.attempt((client) => client.get(key)));
    if (text === undefined || text === null) return undefined;
    try {
      const parsed = schema.safeParse(JSON.parse(text));
      return parsed.success ? parsed.data : undefined;
    } catch (error) {
      log.warn('cache-value-unreadable', errorFields(error));
      return undefined;
    }
  }

  /** Keeps a value for some seconds. */
  async write(key: string, value: unknown, ttlSeconds: number): Promise<void> {
    await this.attempt((client) => client.set(key, JSON.stringify(value), 'EX', ttlSeconds));
  }

  /** Keeps a value for some seconds, soon, with others of the same moment. Returns at once; {@link read} knows it already. */
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
      // A pipeline resolves whatever became of its commands; the breaker is to hear of them.
      const [failed] = results?.find(([error]) => error !== null) ?? [];
      if (failed !== undefined && failed !== null) throw failed;
    });
  }

  /** Forgets keys. */
  async drop(...keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#gathered.delete(key);
    if (keys.length > 0) await this.attempt((client) => client.del(...keys));
  }

  /** Round trip in ms, or undefined if Redis does not answer. Goes past the breaker: it is how its end is seen. */
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

  /** Ends the connection. */
  async close(): Promise<void> {
    this.#stopProbing();
    if (this.#sending !== undefined) {
      clearTimeout(this.#sending);
      await this.#sendGathered();
    }
    const client = await this.#client;
    client?.disconnect();
  }
}
