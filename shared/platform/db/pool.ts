import postgres from 'postgres';
import { sslOf } from '../config/connection-settings.ts';

/** Seconds until a connection attempt is given up: a dead server must be a clear 503 within two seconds. */
const CONNECT_TIMEOUT_S = 1;
/** Seconds that an idle connection is kept. */
const IDLE_TIMEOUT_S = 60;
/** Azure moves servers: a connection is not kept for ever. Up to twice this, so that those made together do not end together. */
const LIFETIME_S = 30 * 60;
/** Longer than any statement of a request needs; a timer's batches set their own. */
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * PostgreSQL's `2026-11-24 02:59:30.45+00` as `2026-11-24T02:59:30.450Z`: it drops the fraction's trailing zeros, here
 * are always three digits, as JavaScript writes them, or six where there are microseconds.
 */
function readTimestamp(text: string): string {
  const fraction = text.slice(20, -3);
  const digits = fraction.padEnd(fraction.length > 3 ? 6 : 3, '0');
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${digits}Z`;
}

/** The type parsers that all pools share, so that nothing is lost between a row and a reply. */
const types = {
  /** timestamptz as RFC 3339 text with the microseconds that a Date would lose. */
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
  /** int8: all of ours count rows, bytes or minor units and stay far below 2^53. */
  bigint: {
    to: 20,
    from: [20],
    serialize: (value: number): string => value.toString(),
    parse: (text: string): number => Number(text),
  },
};

/** A pool of connections to one database as one role. */
export type Pool = postgres.Sql<{ timestamp: string; date: string; bigint: number }>;
/** A connection inside a transaction. */
export type Transaction = postgres.TransactionSql<{ timestamp: string; date: string; bigint: number }>;

/** How a pool is opened. */
export interface PoolOptions {
  readonly url: string;
  readonly max: number;
  readonly applicationName: string;
  readonly prepare: boolean;
  /** Null keeps an idle connection for ever; 60 s unless said. */
  readonly idleTimeoutS?: number | null;
  /** Called for each new connection; a managed identity's token. */
  readonly password?: () => Promise<string>;
}

/** Opens a pool lazily: no connection is made before the first statement. */
export function openPool(options: PoolOptions): Pool {
  return postgres(options.url, {
    max: options.max,
    ssl: sslOf(options.url),
    connect_timeout: CONNECT_TIMEOUT_S,
    idle_timeout: options.idleTimeoutS === undefined ? IDLE_TIMEOUT_S : (options.idleTimeoutS ?? undefined),
    max_lifetime: LIFETIME_S * (1 + Math.random()),
    // No pauses of the driver's own: nothing is sent while the server is away, see HealthMonitor.
    backoff: () => 0,
    prepare: options.prepare,
    fetch_types: false,
    types,
    onnotice: () => undefined,
    connection: {
      application_name: options.applicationName,
      TimeZone: 'UTC',
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: 2 * STATEMENT_TIMEOUT_MS,
    },
    ...(options.password === undefined ? {} : { password: options.password }),
  });
}
