import path from 'node:path';
import { benchFolder, type BenchStack } from './bench-stack.ts';
import { runPgbench, runPgbenchAtRate, type PgbenchRun } from './pgbench.ts';

function runOf(bench: BenchStack, script: string, clients: number, seconds: number): PgbenchRun {
  return {
    url: bench.stack.settings['CORE_DATABASE_URL'] ?? '',
    file: path.join(benchFolder(), 'transaction.sql'),
    script,
    clients,
    seconds,
  };
}

/** A round of pgbench with the database role of requests. The server first finishes the work of earlier rounds. */
export async function pgbenchRound(
  bench: BenchStack,
  script: string,
  clients: number,
  seconds: number,
): Promise<number> {
  await bench.settle();
  return runPgbench(runOf(bench, script, clients, seconds));
}

/** The same at a fixed number of transactions a second. Returns how long each one took, in ms. */
export async function pgbenchLatencies(
  bench: BenchStack,
  script: string,
  clients: number,
  seconds: number,
  rate: number,
): Promise<number[]> {
  await bench.settle();
  return runPgbenchAtRate(runOf(bench, script, clients, seconds), rate);
}
