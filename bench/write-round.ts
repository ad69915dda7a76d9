import type { BenchStack } from './bench-stack.ts';
import { median } from './figures.ts';
import type { LoadClient } from './load/client.ts';
import { pgbenchRound } from './pgbench-round.ts';
import { createMappings, type CreateMappingsOptions } from './create-mappings.ts';

/** The results of a round of writes. */
export interface WriteRound {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Microseconds of processor time per write, by process. */
  readonly micros: Readonly<Record<string, number>>;
  /** The share of the round's outbox rows that were unpublished at its end. */
  readonly unpublished: number;
}

/** Creates mappings for some seconds; by default as fast as possible. */
export async function writeRound(
  bench: BenchStack,
  client: LoadClient,
  seconds: number,
  options: CreateMappingsOptions = {},
): Promise<WriteRound> {
  await bench.settle();
  const meter = bench.meter();
  const result = await client.run(createMappings(bench, seconds, options));
  const spent = { ...meter.seconds(), client: result.cpuSeconds };
  const unpublished = (await bench.outboxRows()) / result.answers;
  await bench.drainOutbox();
  const micros = Object.fromEntries(
    Object.entries(spent).map(([name, value]) => [name, (value / result.answers) * 1e6]),
  );
  const { perSecond, p50Ms, p99Ms } = result;
  return { perSecond, p50Ms, p99Ms, micros, unpublished };
}

/** A round of pgbench, and PostgreSQL's microseconds of processor time per transaction. */
export async function transactionRound(
  bench: BenchStack,
  script: string,
  clients: number,
  seconds: number,
): Promise<{ readonly perSecond: number; readonly postgresMicros: number }> {
  const meter = bench.meter();
  const perSecond = await pgbenchRound(bench, script, clients, seconds);
  return { perSecond, postgresMicros: ((meter.seconds()['PostgreSQL'] ?? 0) / (perSecond * seconds)) * 1e6 };
}

/** The median processor time per write, by process. */
export function describeCosts(rounds: readonly WriteRound[]): string {
  const names = Object.keys(rounds[0]?.micros ?? {});
  const middle = (name: string): number => median(rounds.map((round) => round.micros[name] ?? 0));
  return `µs of processor a write: ${names.map((name) => `${name} ${middle(name).toFixed(0)}`).join(', ')}`;
}
