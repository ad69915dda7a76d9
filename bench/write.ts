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
import { TEXTBOOK } from './textbook.ts';

const CONNECTIONS = 32;
/** Until the host's code is compiled and its caches are filled. */
const WARM_UP_S = 8;

/** An order that records mappings as fast as 32 connections go. */
export function recordMappings(bench: BenchStack, seconds: number, rate?: number): LoadOrder {
  const { stack } = bench;
  return {
    port: stack.host.ready.port,
    key: stack.keys.tenants.acme.writer,
    connections: CONNECTIONS,
    seconds,
    ...(rate === undefined ? {} : { rate }),
    request: { kind: 'record-mapping', path: '/api/v1/mappings', body: mappingBody(), marker: MARKER },
  };
}

function textbook(bench: BenchStack, clients: number, seconds: number): Promise<number> {
  return runPgbench({
    url: bench.stack.settings['CORE_DATABASE_URL'] ?? '',
    file: path.join(benchFolder(), 'textbook.sql'),
    script: TEXTBOOK,
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
    await bench.settle();
    rates.set(clients, await textbook(bench, clients, seconds));
  }
  say(
    `  pgbench: ${[...rates].map(([clients, rate]) => `${clients} clients ${rate.toFixed(0)}/s`).join(', ')}`,
  );
  return (rates.get(16) ?? 0) > (rates.get(32) ?? 0) ? 16 : 32;
}

async function measure(bench: BenchStack, client: LoadClient, sizes: Sizes, say: (line: string) => void) {
  const notes: string[] = [];
  const [durability] = await bench.core<{ text: string }[]>`
    select 'fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') as text`;
  await client.run(recordMappings(bench, WARM_UP_S));
  await bench.drainOutbox();
  const clients = await chooseClients(bench, sizes.secondsEach, say);
  notes.push(`both: ${durability?.text ?? ''}; pgbench at its best: ${clients} clients`);

  const costs: string[] = [];
  const left: number[] = [];
  const p99: number[] = [];
  const values = await interleave(
    sizes.rounds,
    async () => {
      await bench.settle();
      const rate = await textbook(bench, clients, sizes.secondsEach);
      say(`  pgbench ${rate.toFixed(0)}/s`);
      return rate;
    },
    async () => {
      await bench.settle();
      const meter = bench.meter();
      const result = await client.run(recordMappings(bench, sizes.secondsEach));
      const seconds = { ...meter.seconds(), client: result.cpuSeconds };
      left.push((await bench.outboxRows()) / result.answers);
      await bench.drainOutbox();
      p99.push(result.p99Ms);
      const micros = Object.entries(seconds).map(
        ([name, value]) => `${name} ${((value / result.answers) * 1e6).toFixed(0)}`,
      );
      costs.push(micros.join(', '));
      say(
        `  host ${result.perSecond.toFixed(0)}/s, p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms`,
      );
      say(`    µs of processor a write: ${micros.join(', ')}`);
      return result.perSecond;
    },
  );
  notes.push(`µs of processor a write: ${costs.at(-1) ?? ''}`);
  notes.push(
    `p99 ${median(p99).toFixed(1)} ms; at a round's end ${(median(left) * 100).toFixed(0)} % of its outbox rows were still to be published`,
  );
  return makeFigure({
    bench: 'write',
    name: 'POST /mappings ÷ textbook transaction',
    candidate: { name: 'POST /mappings with response, 32 connections', unit: '/s', values: values.candidate },
    baseline: {
      name: 'pgbench: begin, set_config, record, outbox, commit',
      unit: '/s',
      values: values.baseline,
    },
    target: { bound: 'at least', value: 0.65 },
    notes,
  });
}

/** What a record costs: the whole of a write over HTTP beside the bare transaction. */
export const writeBench: Bench = {
  name: 'write',
  what: 'POST /mappings with its response over HTTP ÷ the textbook transaction by pgbench',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone', sizes.profileFolder === undefined ? {} : INSPECTABLE);
    const client = await LoadClient.start();
    try {
      const figure = await measure(bench, client, sizes, say);
      if (sizes.profileFolder !== undefined) {
        const load = client.run(recordMappings(bench, sizes.secondsEach + 1));
        await profileHost(bench.stack, sizes.secondsEach, path.join(sizes.profileFolder, 'write.cpuprofile'));
        await load;
      }
      return [figure];
    } finally {
      await client.stop();
      await bench.stop();
    }
  },
};
