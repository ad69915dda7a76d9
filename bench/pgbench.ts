import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
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

/** Runs pgbench to its end, with prepared statements; answers what it printed. @throws Error when a transaction failed. */
async function pgbench(run: PgbenchRun, more: readonly string[]): Promise<string> {
  const url = new URL(run.url);
  writeFileSync(run.file, run.script);
  const { stdout } = await promisify(execFile)(
    findPgbench(),
    [
      ...['--host', url.hostname, '--port', url.port, '--username', decodeURIComponent(url.username)],
      ...['--client', String(run.clients), '--jobs', String(THREADS), '--time', String(run.seconds)],
      ...['--protocol', 'prepared', '--no-vacuum', '--file', run.file, ...more],
      decodeURIComponent(url.pathname.slice(1)),
    ],
    { env: { ...process.env, PGPASSWORD: decodeURIComponent(url.password) } },
  );
  const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1] ?? '0';
  if (failed !== '0') throw new Error(`pgbench did not do its work:\n${stdout}`);
  return stdout;
}

/**
 * Transactions a second of a script, as pgbench counts them.
 * @throws Error when there is no pgbench, or a transaction failed.
 */
export async function runPgbench(run: PgbenchRun): Promise<number> {
  const stdout = await pgbench(run, []);
  const perSecond = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
  if (Number.isNaN(perSecond)) throw new Error(`pgbench did not count:\n${stdout}`);
  return perSecond;
}

/**
 * What each transaction of a script took, in ms, at a number of them a second. It counts from when a transaction was due,
 * as somebody would have waited for it.
 * @throws as {@link runPgbench}.
 */
export async function runPgbenchAtRate(run: PgbenchRun, rate: number): Promise<number[]> {
  const folder = mkdtempSync(`${run.file}-log-`);
  try {
    await pgbench(run, ['--rate', rate.toFixed(0), '--log', `--log-prefix=${path.join(folder, 'log')}`]);
    // A file for each thread; a line is: client, transaction, µs with the lag behind the schedule, …
    return readdirSync(folder).flatMap((name) =>
      readFileSync(path.join(folder, name), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => Number(line.split(' ')[2]) / 1000),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
