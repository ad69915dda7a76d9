import postgres from 'postgres';
import { VERSION } from '../config/version.ts';
import { tlsOfPostgres } from '../tls/tls.ts';

/** Seconds until an attempt to connect ends: when a server is down, clients must get a clear 503 within two seconds. */
const CONNECT_TIMEOUT_S = 1;
/** Seconds until an idle connection is closed. */
const IDLE_TIMEOUT_S = 60;
/**
 * Seconds until a connection is closed, because Azure moves servers. The driver takes up to twice this, so that connections
 * made together do not end together.
 */
const LIFETIME_S = 30 * 60;
/** Longer than any statement of a request needs. A timer's batches set their own limit. */
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * Converts PostgreSQL's `2026-11-24 02:59:30.45+00` to `2026-11-24T02:59:30.450Z`. PostgreSQL drops trailing zeros of the
 * fraction. The result has always three digits, as in JavaScript, or six with microseconds.
 */
function readTimestamp(text: string): string {
  const fraction = text.slice(20, -3);
  const digits = fraction.padEnd(fraction.length > 3 ? 6 : 3, '0');
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${digits}Z`;
}

/** The type parsers that all pools share, so that a value keeps its full precision between a row and a reply. */
const types = {
  /** timestamptz as RFC 3339 text, because a Date would lose the microseconds. */
  timestamp: {
    to: 1184,
    from: [1184],
    serialize: (value: string | Date): string => (value instanceof Date ? value.toISOString() : value),
    parse: readTimestamp,
  },
  date: {
    to: 1082,
    from: [1082],
    serialize: (value: string): string => value,
    parse: (text: string): string => text,
  },
  /** int8: ours count rows, bytes or minor units and stay far below 2^53. */
  bigint: {
    to: 20,
    from: [20],
    serialize: (value: number): string => value.toString(),
    parse: (text: string): number => Number(text),
  },
};

/** A pool of connections to one database with one role. */
export type Pool = postgres.Sql<{ timestamp: string; date: string; bigint: number }>;
/** A connection inside a transaction. */
export type Transaction = postgres.TransactionSql<{ timestamp: string; date: string; bigint: number }>;

/** How a pool is opened. */
export interface PoolOptions {
  readonly url: string;
  readonly max: number;
  readonly applicationName: string;
  readonly prepare: boolean;
  /** Null keeps an idle connection open; the default is 60 s. */
  readonly idleTimeoutS?: number | null;
  /** Authorities that the server's certificate may have, besides those that Node knows. */
  readonly extraCa?: readonly string[];
  /** Called for each new connection, to get a managed identity's token. */
  readonly password?: () => Promise<string>;
}

/** Opens a pool. It connects at its first statement. */
export function openPool(options: PoolOptions): Pool {
  return postgres(options.url, {
    max: options.max,
    ssl: tlsOfPostgres(options.url, options.extraCa ?? []),
    connect_timeout: CONNECT_TIMEOUT_S,
    idle_timeout: options.idleTimeoutS === undefined ? IDLE_TIMEOUT_S : (options.idleTimeoutS ?? undefined),
    max_lifetime: LIFETIME_S * (1 + Math.random()),
    // The driver must not pause before it reconnects: HealthMonitor already stops statements while the server is
    // unavailable.
    backoff: () => 0,
    prepare: options.prepare,
    fetch_types: false,
    types,
    onnotice: () => undefined,
    connection: {
      // The migrator reads the release here: what an older build needs is not removed while one is connected.
      application_name: `${options.applicationName}@${VERSION}`,
      TimeZone: 'UTC',
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: 2 * STATEMENT_TIMEOUT_MS,
    },
    ...(options.password === undefined ? {} : { password: options.password }),
  });
}
