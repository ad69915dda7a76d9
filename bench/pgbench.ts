import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { findPgbench } from './pgbench-command.ts';

/** A script for pgbench, and how to run it. */
export interface PgbenchRun {
  /** Connection string, with the role to run as. */
  readonly url: string;
  /** The path to write the script to. */
  readonly file: string;
  readonly script: string;
  readonly clients: number;
  readonly seconds: number;
}

/** pgbench's threads: one for each of the two cores. */
const THREADS = 2;

/** Runs pgbench with prepared statements; returns its output. @throws Error when a transaction failed. */
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
  if (failed !== '0') throw new Error(`transactions of pgbench failed:\n${stdout}`);
  return stdout;
}

/**
 * A script's transactions a second, as pgbench counts them.
 * @throws Error when there is no pgbench, or a transaction failed.
 */
export async function runPgbench(run: PgbenchRun): Promise<number> {
  const stdout = await pgbench(run, []);
  const perSecond = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
  if (Number.isNaN(perSecond)) throw new Error(`the output of pgbench has no rate:\n${stdout}`);
  return perSecond;
}

/**
 * How long each transaction of a script took, in ms, at a fixed rate. The time begins when the transaction was due, because a
 * caller would have waited since then.
 * @throws as {@link runPgbench}.
 */
export async function runPgbenchAtRate(run: PgbenchRun, rate: number): Promise<number[]> {
  const folder = mkdtempSync(`${run.file}-log-`);
  try {
    await pgbench(run, ['--rate', rate.toFixed(0), '--log', `--log-prefix=${path.join(folder, 'log')}`]);
    // One file per thread. The fields of a line are: client, transaction, µs including the schedule lag, …
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
