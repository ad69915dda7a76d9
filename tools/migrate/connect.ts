import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { sslOf } from '../../shared/platform/config/connection-settings.ts';

const CONNECT_TIMEOUT_MS = 15_000;

/** What of a URL would decide on encryption instead of {@link sslOf}, by rules of the driver's own. */
const DRIVERS_OWN = ['sslmode', 'ssl', 'uselibpqcompat'];

/** A URL as the driver takes it: encrypted by the app's own rule, `require` unless the server is on this machine. */
function clientOptions(url: string): pg.ClientConfig {
  const ssl = sslOf(url);
  const plain = new URL(url);
  for (const name of DRIVERS_OWN) plain.searchParams.delete(name);
  const connectionString = plain.toString();
  // The driver cannot try without first: what prefers encryption, on this machine alone, goes without.
  if (ssl === false || ssl === 'prefer') return { connectionString, ssl: false };
  return { connectionString, ssl: { rejectUnauthorized: ssl === 'verify-full' } };
}

/** Runs `work` on one connection of its own and closes it, whatever happens. */
export async function withConnection<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    ...clientOptions(url),
    application_name: 'comply-migrate',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A connection that breaks between two statements says so on the next one; without a listener it ends the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The same server and credentials, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${encodeURIComponent(database)}`;
  return changed.toString();
}

/** The database that a connection string names. */
export function readDatabaseName(url: string): string {
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  if (name === '') {
    throw new Error('the connection string names no database');
  }
  return name;
}

// "comply" as a number: any constant does, as long as every migrator takes the same.
const LOCK_KEY = 0x63_6f_6d_70_6c_79;

/** Between two tries for the lock: a migration takes seconds. */
const LOCK_RETRY_MS = 200;

/**
 * Runs `work` while no other migrator works on the same database. Locks are a database's own, so work on the whole
 * server is locked through the one database that every migrator of that server goes to.
 */
export async function withMigrationLock<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  // Asked again and again: a statement that waits holds a snapshot, which an index built concurrently waits for in turn.
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [
      LOCK_KEY,
    ]);
    if (rows[0]?.taken === true) break;
    await delay(LOCK_RETRY_MS);
  }
  try {
    return await work();
  } finally {
    await client.query('select pg_advisory_unlock($1)', [LOCK_KEY]);
  }
}
