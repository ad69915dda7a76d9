import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { interleave, makeFigure, median } from './figures.ts';
import { INSPECTABLE } from './host-inspector.ts';
import { LoadClient } from './load/client.ts';
import type { LoadOrder } from './load/protocol.ts';
import { makeTenants, TENANTS } from './many-tenants.ts';
import { pgbenchRound } from './pgbench-round.ts';
import { profileHost } from './profile-host.ts';
import { readPage, readRecord } from './textbook.ts';
import { undisturbed } from './undisturbed.ts';
import { CONNECTIONS, createMappings } from './create-mappings.ts';
import path from 'node:path';

const WARM_UP_S = 6;
/** Records to read in turn: many different ones, but few enough for the database's cache. */
const RECORDS = 2_000;
/** The usual number of rows of a list's page. */
const PAGE_LIMIT = 50;

type Targets = Extract<LoadOrder['request'], { kind: 'read' }>['targets'];

interface RecordRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly partition_day: string;
}

/** The newest records of acme, or of all other tenants. */
function newestRecords(bench: BenchStack, tenants: 'acme' | 'others'): Promise<RecordRow[]> {
  return bench.core<RecordRow[]>`
    select tenant_id, id, partition_day::text as partition_day from storage_records
     where (tenant_id = 'acme') = ${tenants === 'acme'} order by created_at desc limit ${RECORDS}`;
}

/** Writes records and returns what to read: acme's records, and those of many tenants, each with its key. */
async function prepare(bench: BenchStack, client: LoadClient) {
  const keys = await makeTenants(bench);
  await client.run(createMappings(bench, WARM_UP_S));
  await client.run(createMappings(bench, WARM_UP_S, { keys }));
  await bench.drainOutbox();
  const [own, others] = [await newestRecords(bench, 'acme'), await newestRecords(bench, 'others')];
  const target = (key: string, { id }: RecordRow) => ({ key, path: `/api/v1/records/${id}` });
  const [first] = own;
  if (first === undefined || others.length === 0) throw new Error('there are no records to read');
  return {
    first,
    one: own.map((row) => target(bench.stack.keys.tenants.acme.reader, row)),
    many: others.map((row) => target(keys[Number(row.tenant_id.replace('tenant-', ''))] ?? '', row)),
    page: [{ key: bench.stack.keys.tenants.acme.reader, path: `/api/v1/records?limit=${PAGE_LIMIT}` }],
  };
}

interface Reads {
  readonly name: string;
  readonly targets: Targets;
  readonly baseline: { readonly name: string; readonly script: string };
  readonly target?: { readonly bound: 'at least'; readonly value: number };
}

async function measure(
  bench: BenchStack,
  client: LoadClient,
  reads: Reads,
  sizes: Sizes,
  say: (line: string) => void,
) {
  const order = (seconds: number): LoadOrder => ({
    ports: bench.ports,
    connections: CONNECTIONS,
    seconds,
    request: { kind: 'read', targets: reads.targets },
  });
  await client.run(order(WARM_UP_S));
  const costs: Record<string, number>[] = [];
  const values = await interleave(
    sizes.rounds,
    () => undisturbed(() => pgbenchRound(bench, reads.baseline.script, CONNECTIONS, sizes.secondsEach), say),
    () =>
      undisturbed(async () => {
        const meter = bench.meter();
        const { perSecond, answers, cpuSeconds } = await client.run(order(sizes.secondsEach));
        const spent = Object.entries({ ...meter.seconds(), client: cpuSeconds });
        costs.push(Object.fromEntries(spent.map(([name, value]) => [name, (value / answers) * 1e6])));
        return perSecond;
      }, say),
  );
  const cost = (name: string): string => median(costs.map((one) => one[name] ?? 0)).toFixed(0);
  const micros = Object.keys(costs[0] ?? {}).map((name) => `${name} ${cost(name)}`);
  const notes = [`µs of processor a read: ${micros.join(', ')}`];
  say(`  ${reads.name}: ${median(values.candidate).toFixed(0)}/s, ${notes.join('; ')}`);
  if (sizes.profileFolder !== undefined) {
    const load = client.run(order(sizes.secondsEach + 1));
    const file = path.join(sizes.profileFolder, `${reads.name.replaceAll(/\W+/g, '-')}.cpuprofile`);
    say(`  profile of the host: ${await profileHost(bench.stack, sizes.secondsEach, file)}`);
    await load;
  }
  return makeFigure({
    bench: 'read',
    name: `${reads.name} ÷ the same by pgbench`,
    candidate: { name: `${reads.name}, ${CONNECTIONS} connections`, unit: '/s', values: values.candidate },
    baseline: { name: reads.baseline.name, unit: '/s', values: values.baseline },
    ...(reads.target === undefined ? {} : { target: reads.target }),
    notes,
  });
}

/** What a read over HTTP costs, compared with only the transaction. */
export const readBench: Bench = {
  name: 'read',
  what: 'GET /records/{id} and a page of GET /records over HTTP ÷ the same reads by pgbench',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone', {
      settings: sizes.profileFolder === undefined ? {} : INSPECTABLE,
    });
    const client = await LoadClient.start();
    try {
      const { first, one, many, page } = await prepare(bench, client);
      const byId = {
        name: 'pgbench: begin, set_config, select by tenant, id and day, commit',
        script: readRecord(first.id, first.partition_day),
      };
      const byPage = {
        name: `pgbench: begin, set_config, select ${PAGE_LIMIT} rows of the day, commit`,
        script: readPage(first.partition_day, PAGE_LIMIT),
      };
      const target = { bound: 'at least', value: 0.4 } as const;
      const all: readonly Reads[] = [
        { name: 'GET /records/{id}', targets: one, baseline: byId, target },
        { name: `GET /records/{id} of ${TENANTS} tenants`, targets: many, baseline: byId, target },
        { name: `GET /records, ${PAGE_LIMIT} rows`, targets: page, baseline: byPage },
      ];
      const figures = [];
      for (const reads of all) figures.push(await measure(bench, client, reads, sizes, say));
      return figures;
    } finally {
      await client.stop();
      await bench.stop();
    }
  },
};
