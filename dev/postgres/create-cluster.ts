import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { placeData } from './account.ts';
import type { Account } from './account.ts';
import type { PostgresBinaries } from './binaries.ts';
import { runOnce } from './run-once.ts';

/** The superuser of a local server. */
export const ADMIN_USER = 'postgres';

/**
 * Makes a new data directory. It gets its name only when it is complete, so a killed start leaves no unfinished one under
 * that name. Text sorts by code point, the same on every machine. Every connection needs its password (SCRAM).
 */
export async function createCluster(
  binaries: PostgresBinaries,
  account: Account,
  dataDir: string,
  password: string,
  durable: boolean,
): Promise<void> {
  const unfinished = `${dataDir}.new`;
  const passwordFile = `${dataDir}.pw-${randomBytes(6).toString('hex')}`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700, recursive: true });
  account.own(unfinished);
  try {
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    account.own(passwordFile);
    const { argument, cwd } = placeData(account, unfinished);
    const args = [
      `--pgdata=${argument}`,
      `--username=${ADMIN_USER}`,
      '--pwfile=/dev/stdin',
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
      ...(durable ? [] : ['--no-sync']),
    ];
    await runOnce(account, binaries.initdb, args, { cwd, inputFile: passwordFile });
    chmodSync(unfinished, 0o700);
    renameSync(unfinished, dataDir);
  } finally {
    rmSync(passwordFile, { force: true });
    rmSync(unfinished, { recursive: true, force: true });
  }
}
