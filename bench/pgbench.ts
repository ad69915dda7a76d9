import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { findPgbench } from './pgbench-command.ts';

/** What pgbench is to run, and against what. */
export interface PgbenchRun {
  /** Connection string: the role that it runs as stands in there. */
  readonly url: string;
  /** Where the script may be put. */
  readonly file: string;
  readonly script: string;
  readonly clients: number;
  readonly seconds: number;
}

/** pgbench's threads: one for each of the two cores. */
const THREADS = 2;

/**
 * Transactions a second of a script, as pgbench counts them, with prepared statements.
 * @throws Error when there is no pgbench, or a transaction failed.
 */
export async function runPgbench(run: PgbenchRun): Promise<number> {
  const url = new URL(run.url);
  writeFileSync(run.file, run.script);
  const { stdout } = await promisify(execFile)(
    findPgbench(),
    [
      ...['--host', url.hostname, '--port', url.port, '--username', decodeURIComponent(url.username)],
      ...['--client', String(run.clients), '--jobs', String(THREADS), '--time', String(run.seconds)],
      ...['--protocol', 'prepared', '--no-vacuum', '--file', run.file],
      decodeURIComponent(url.pathname.slice(1)),
    ],
    { env: { ...process.env, PGPASSWORD: decodeURIComponent(url.password) } },
  );
  const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1] ?? '0';
  const perSecond = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
  if (failed !== '0' || Number.isNaN(perSecond)) throw new Error(`pgbench did not do its work:\n${stdout}`);
  return perSecond;
}
