import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import { chooseAccount } from './account.ts';
import type { BaseBackup } from './base-backup.ts';
import { runOnce } from './run-once.ts';
import { startPostgres, type PostgresOptions, type PostgresServer } from './start-postgres.ts';
import type { WalArchive } from './wal-archive.ts';

/** What is restored, and where. */
export interface RestoreOptions extends Pick<PostgresOptions, 'logFile' | 'password' | 'onEvent'> {
  readonly backup: BaseBackup;
  readonly archive: WalArchive;
  /** The new server's data directory. It must not exist. */
  readonly dataDir: string;
  /** A transaction that committed later is not restored. */
  readonly moment: Date;
}

/**
 * Restores a base backup into a new server, replays the archive up to a moment, and starts it for writes. As Azure's
 * point-in-time restore: the old server stays as it is.
 * @throws with the server's log when the archive ends before the moment.
 */
export async function restoreBackup(options: RestoreOptions): Promise<PostgresServer> {
  const { backup, archive, dataDir, moment, logFile, password, onEvent } = options;
  mkdirSync(path.dirname(dataDir), { recursive: true });
  mkdirSync(dataDir, { mode: 0o700 });
  const account = chooseAccount(archive.folder);
  account.own(dataDir);
  await runOnce(account, 'tar', ['-xf', '-'], { cwd: dataDir, inputFile: backup.file });
  // With this file, the server recovers to a target instead of to the end of its log.
  const signal = path.join(dataDir, 'recovery.signal');
  closeSync(openSync(signal, 'w', 0o600));
  account.own(signal);
  return startPostgres({
    dataDir,
    logFile,
    password,
    durable: false,
    settings: archive.restoreSettings(moment),
    onEvent,
  });
}
