import path from 'node:path';
import type { Bench, Sizes } from './bench.ts';
import { benchFolder, startBenchStack, type BenchStack } from './bench-stack.ts';
import { interleave, makeFigure, median } from './figures.ts';
import { LoadClient } from './load/client.ts';
import type { LoadOrder } from './load/protocol.ts';
import { mappingBody, MARKER } from './mapping-body.ts';
import { runPgbench } from './pgbench.ts';
import { INSPECTABLE } from './host-inspector.ts';
import { profileHost } from './profile-host.ts';
import { SAME_ROWS, TEXTBOOK } from './textbook.ts';
import { undisturbed } from './undisturbed.ts';

const CONNECTIONS = 32;
/** Until the host's code is compiled and its caches are filled. */
const WARM_UP_S = 8;

/** An order that records mappings as fast as 32 connections go. */
export function recordMappings(bench: BenchStack, seconds: number, rate?: number): LoadOrder {
  const { stack, ports } = bench;
  return {
    ports,
    key: stack.keys.tenants.acme.writer,
    connections: CONNECTIONS,
    seconds,
    ...(rate === undefined ? {} : { rate }),
    request: { kind: 'record-mapping', path: '/api/v1/mappings', body: mappingBody(), marker: MARKER },
  };
}

/** A round of pgbench on a server that has nothing left to do of the round before. */
async function pgbench(bench: BenchStack, script: string, clients: number, seconds: number): Promise<number> {
  await bench.settle();
  return runPgbench({
    url: bench.stack.settings['CORE_DATABASE_URL'] ?? '',
    file: path.join(benchFolder(), 'transaction.sql'),
    script,
    clients,
    seconds,
  });
}

async function chooseClients(
  bench: BenchStack,
  seconds: number,
  say: (line: string) => void,
): Promise<number> {
  const rates = new Map<number, number>();
  for (const clients of [16, 32]) {
    rates.set(clients, await undisturbed(() => pgbench(bench, TEXTBOOK, clients, seconds), say));
  }
  say(
    `  pgbench: ${[...rates].map(([clients, rate]) => `${clients} clients ${rate.toFixed(0)}/s`).join(', ')}`,
  );
  return (rates.get(16) ?? 0) > (rates.get(32) ?? 0) ? 16 : 32;
}

/** A round of writes over HTTP, and what it took. */
interface WriteRound {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Microseconds of processor time a write, by process. */
  readonly micros: Readonly<Record<string, number>>;
  /** Of the round's outbox rows, the share that was not published when it ended. */
  readonly unpublished: number;
}

async function writeRound(bench: BenchStack, client: LoadClient, seconds: number): Promise<WriteRound> {
  await bench.settle();
  const meter = bench.meter();
  const result = await client.run(recordMappings(bench, seconds));
  const spent = { ...meter.seconds(), client: result.cpuSeconds };
  const unpublished = (await bench.outboxRows()) / result.answers;
  await bench.drainOutbox();
  const micros = Object.fromEntries(
    Object.entries(spent).map(([name, value]) => [name, (value / result.answers) * 1e6]),
  );
  const { perSecond, p50Ms, p99Ms } = result;
  return { perSecond, p50Ms, p99Ms, micros, unpublished };
}

function describeCosts(rounds: readonly WriteRound[]): string {
  const names = Object.keys(rounds[0]?.micros ?? {});
  const middle = (name: string): number => median(rounds.map((round) => round.micros[name] ?? 0));
  return `µs of processor a write: ${names.map((name) => `${name} ${middle(name).toFixed(0)}`).join(', ')}`;
}

async function measure(bench: BenchStack, client: LoadClient, sizes: Sizes, say: (line: string) => void) {
  const { secondsEach } = sizes;
  const [durability] = await bench.core<{ text: string }[]>`
    select 'fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') as text`;
  await client.run(recordMappings(bench, WARM_UP_S));
  await bench.drainOutbox();
  const clients = await chooseClients(bench, secondsEach, say);
  const rounds: WriteRound[] = [];
  const sameRows: number[] = [];
  const values = await interleave(
    sizes.rounds,
    async () => {
      const rate = await undisturbed(() => pgbench(bench, TEXTBOOK, clients, secondsEach), say);
      say(`  pgbench ${rate.toFixed(0)}/s`);
      return rate;
    },
    async () => {
      const round = await undisturbed(() => writeRound(bench, client, secondsEach), say);
      rounds.push(round);
      const { perSecond, p50Ms, p99Ms } = round;
      say(`  host ${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`);
      say(`    ${describeCosts([round])}`);
      sameRows.push(
        await undisturbed(() => pgbench(bench, SAME_ROWS, clients, Math.ceil(secondsEach / 2)), say),
      );
      return perSecond;
    },
  );
  const candidate = {
    name: 'POST /mappings with response, 32 connections',
    unit: '/s',
    values: values.candidate,
  };
  const p99 = median(rounds.map((round) => round.p99Ms)).toFixed(1);
  const unpublished = (median(rounds.map((round) => round.unpublished)) * 100).toFixed(0);
  return [
    makeFigure({
      bench: 'write',
      name: 'POST /mappings ÷ textbook transaction',
      candidate,
      baseline: {
        name: 'pgbench: begin, set_config, record, outbox, commit',
        unit: '/s',
        values: values.baseline,
      },
      target: { bound: 'at least', value: 0.65 },
      notes: [
        `both: ${durability?.text ?? ''}; pgbench at its best: ${clients} clients, 2 threads`,
        describeCosts(rounds),
        `p99 ${p99} ms; ${unpublished} % of a round's events were still to be published at its end`,
      ],
    }),
    makeFigure({
      bench: 'write',
      name: 'POST /mappings ÷ all its rows by pgbench',
      candidate,
      baseline: { name: 'pgbench: the same with all five rows of a mapping', unit: '/s', values: sameRows },
      notes: ['the textbook transaction writes two of the five rows that a recorded mapping leaves'],
    }),
  ];
}

/** What a record costs: the whole of a write over HTTP beside the bare transaction. */
export const writeBench: Bench = {
  name: 'write',
  what: 'POST /mappings with its response over HTTP ÷ the textbook transaction by pgbench',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone', {
      settings: sizes.profileFolder === undefined ? {} : INSPECTABLE,
    });
    const client = await LoadClient.start();
    try {
      const figures = await measure(bench, client, sizes, say);
      if (sizes.profileFolder !== undefined) {
        const load = client.run(recordMappings(bench, sizes.secondsEach + 1));
        const file = path.join(sizes.profileFolder, 'write.cpuprofile');
        say(`  profile of the host: ${await profileHost(bench.stack, sizes.secondsEach, file)}`);
        await load;
      }
      return figures;
    } finally {
      await client.stop();
      await bench.stop();
    }
  },
};
