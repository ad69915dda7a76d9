import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { chooseAccount } from './account.ts';
import type { PostgresServer } from './start-postgres.ts';

const POLL_MS = 50;
const ARCHIVED_TIMEOUT_MS = 30_000;

/** A folder for a base backup and the write-ahead log, outside of the data directory. */
export interface WalArchive {
  readonly folder: string;
  /** The settings of a server that archives its write-ahead log here. */
  readonly serverSettings: Readonly<Record<string, string>>;
  /** The settings of a server that is restored from here to a moment. It then accepts writes. */
  restoreSettings(moment: Date): Readonly<Record<string, string>>;
  remove(): void;
}

/**
 * Makes an archive. It is a folder for temporary files, and not one of ours: the server may run under another account, which
 * must reach it (see {@link chooseAccount}). Nobody else can read it.
 */
export function makeWalArchive(): WalArchive {
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-wal-'));
  const segments = path.join(folder, 'wal');
  mkdirSync(segments);
  const account = chooseAccount(folder);
  for (const one of [segments, folder]) {
    chmodSync(one, 0o700);
    account.own(one);
  }
  return {
    folder,
    serverSettings: {
      wal_level: 'replica',
      max_wal_senders: '4',
      archive_mode: 'on',
      // A segment has its name only when it is whole, and is never overwritten.
      archive_command: `test ! -f '${segments}/%f' && cp %p '${segments}/%f.part' && mv '${segments}/%f.part' '${segments}/%f'`,
    },
    restoreSettings: (moment) => ({
      wal_level: 'replica',
      max_wal_senders: '4',
      hot_standby: 'off', // nobody reads a half-restored server
      restore_command: `cp '${segments}/%f' %p`,
      // PostgreSQL does not read a Z here.
      recovery_target_time: moment.toISOString().replace('Z', '+00'),
      recovery_target_action: 'promote',
    }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Runs statements of a server's superuser. */
export async function asSuperuser<T>(
  server: Pick<PostgresServer, 'adminUrl'>,
  run: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: server.adminUrl() });
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end();
  }
}

/**
 * Waits until the archive has everything that is committed now. A server that is destroyed loses what its archive does not
 * have: in Azure that is up to five minutes.
 * @throws when the server does not archive within thirty seconds.
 */
export async function archiveAll(
  server: Pick<PostgresServer, 'adminUrl'>,
  archive: WalArchive,
): Promise<void> {
  const segment = await asSuperuser(server, async (client) => {
    const { rows } = await client.query<{ file: string }>(
      `select pg_walfile_name(pg_current_wal_lsn()) as file, pg_switch_wal()`,
    );
    return rows[0]?.file ?? '';
  });
  const deadline = Date.now() + ARCHIVED_TIMEOUT_MS;
  while (!existsSync(path.join(archive.folder, 'wal', segment))) {
    if (Date.now() > deadline) throw new Error(`the write-ahead log ${segment} was not archived`);
    await delay(POLL_MS);
  }
}
