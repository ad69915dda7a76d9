import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { chooseAccount } from './account.ts';
import { runOnce } from './run-once.ts';
import type { PostgresServer } from './start-postgres.ts';

/** How a base backup was taken. */
export interface BaseBackup {
  /** The archive with the data directory. */
  readonly file: string;
  readonly bytes: number;
  readonly by: 'pg_basebackup' | 'BASE_BACKUP';
}

/** The major version of the `pg_basebackup` on the PATH; undefined without one. */
function findProgram(): string | undefined {
  const { stdout } = spawnSync('pg_basebackup', ['--version'], { encoding: 'utf8' });
  return /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
}

async function readMajor(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ major: string }>(
      `select (current_setting('server_version_num')::int / 10000)::text as major`,
    );
    return rows[0]?.major ?? '';
  } finally {
    await client.end();
  }
}

/**
 * The command that pg_basebackup sends, over the protocol of replication. The server itself reads its data directory, with all
 * that belongs to it (exclusions, `backup_label`, the manifest), and writes it into a folder that it makes.
 */
async function askServer(url: string, folder: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, ...{ replication: 'true' } });
  await client.connect();
  try {
    await client.query(
      `BASE_BACKUP (LABEL 'comply-ai', CHECKPOINT 'fast', WAL false, TARGET 'server', TARGET_DETAIL ${pg.escapeLiteral(folder)})`,
    );
  } finally {
    await client.end();
  }
}

/**
 * Takes a base backup of a running server into `folder`, which it makes. With `pg_basebackup`, if the PATH has one of the
 * server's version; a program of another version may refuse the server. npm's PostgreSQL has none, so otherwise the server is
 * asked directly. Without the write-ahead log: the archive has it.
 */
export async function takeBaseBackup(
  server: Pick<PostgresServer, 'adminUrl'>,
  folder: string,
): Promise<BaseBackup> {
  const url = server.adminUrl();
  const file = path.join(folder, 'base.tar');
  const isFitting = findProgram() === (await readMajor(url));
  if (isFitting) {
    const account = chooseAccount(path.dirname(folder));
    mkdirSync(folder, { mode: 0o700 });
    account.own(folder);
    const options = [
      '--format=tar',
      '--wal-method=none',
      '--checkpoint=fast',
      '--no-sync',
      '--label=comply-ai',
    ];
    await runOnce(account, 'pg_basebackup', [`--dbname=${url}`, `--pgdata=${folder}`, ...options]);
  } else {
    await askServer(url, folder);
  }
  return { file, bytes: statSync(file).size, by: isFitting ? 'pg_basebackup' : 'BASE_BACKUP' };
}
