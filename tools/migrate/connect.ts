import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { tlsOfPostgres } from '../../shared/platform/tls/tls.ts';

const CONNECT_TIMEOUT_MS = 15_000;

/** URL parameters with which the driver would choose the encryption itself, instead of {@link tlsOfPostgres}. */
const DRIVERS_OWN = ['sslmode', 'ssl', 'uselibpqcompat'];

/** Options for the driver, with the app's rule for encryption: verified, unless the server is on this machine. */
function clientOptions(url: string, extraCa: readonly string[]): pg.ClientConfig {
  const ssl = tlsOfPostgres(url, extraCa);
  const plain = new URL(url);
  for (const name of DRIVERS_OWN) plain.searchParams.delete(name);
  const connectionString = plain.toString();
  // The driver cannot try both, so 'prefer' means no encryption. It occurs only with a server on this machine.
  return { connectionString, ssl: ssl === 'prefer' ? false : ssl };
}

/**
 * Opens a connection, which the caller closes. `options` replace the migrator's. `extraCa`: authorities that the server's
 * certificate may have, besides those that Node knows.
 */
export async function openConnection(
  url: string,
  options: pg.ClientConfig = {},
  extraCa: readonly string[] = [],
): Promise<pg.Client> {
  const client = new pg.Client({
    ...clientOptions(url, extraCa),
    application_name: 'comply-migrate',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...options,
  });
  // When a connection breaks between two statements, the next statement fails. Without this listener, the process would end.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Runs `work` on a new connection, and always closes it. `extraCa`: see {@link openConnection}. */
export async function withConnection<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  extraCa: readonly string[] = [],
): Promise<T> {
  const client = await openConnection(url, {}, extraCa);
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

/** The database in a connection string. */
export function readDatabaseName(url: string): string {
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  if (name === '') {
    throw new Error('the connection string has no database');
  }
  return name;
}

// "comply" as a number. Any constant would work, if all migrators use the same.
const LOCK_KEY = 0x63_6f_6d_70_6c_79;

/** Short compared to a migration, which takes seconds. */
const LOCK_RETRY_MS = 200;

/**
 * Runs `work` while no other migrator works on the same database. A lock is valid only in its database. So work on the whole
 * server takes the lock in one database, which all migrators of that server use.
 */
export async function withMigrationLock<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  // Polls: a statement that waits for the lock has a snapshot, and CREATE INDEX CONCURRENTLY waits for all snapshots.
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
