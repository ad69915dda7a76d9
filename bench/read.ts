import type { Bench } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { interleave, makeFigure } from './figures.ts';
import { LoadClient } from './load/client.ts';
import type { LoadOrder } from './load/protocol.ts';
import { undisturbed } from './undisturbed.ts';
import { recordMappings } from './write.ts';

const CONNECTIONS = 32;
const WARM_UP_S = 6;
/** Records that are read in turn: more than one page of memory, less than a cache could not hold. */
const RECORDS = 2_000;

async function readRecords(bench: BenchStack, seconds: number): Promise<LoadOrder> {
  const rows = await bench.core<{ id: string }[]>`
    select id from storage_records where tenant_id = 'acme' order by created_at desc limit ${RECORDS}`;
  return {
    ports: bench.ports,
    key: bench.stack.keys.tenants.acme.reader,
    connections: CONNECTIONS,
    seconds,
    request: { kind: 'read', paths: rows.map(({ id }) => `/api/v1/records/${id}`) },
  };
}

/** What a read of a record costs beside its write. */
export const readBench: Bench = {
  name: 'read',
  what: 'GET /records/{id} ÷ POST /mappings, both over HTTP with 32 connections',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone');
    const client = await LoadClient.start();
    try {
      await client.run(recordMappings(bench, WARM_UP_S));
      await bench.drainOutbox();
      const order = await readRecords(bench, sizes.secondsEach);
      await client.run({ ...order, seconds: WARM_UP_S });
      const values = await interleave(
        sizes.rounds,
        async () => {
          await bench.settle();
          const order = recordMappings(bench, sizes.secondsEach);
          const { perSecond } = await undisturbed(() => client.run(order), say);
          await bench.drainOutbox();
          return perSecond;
        },
        async () => (await undisturbed(() => client.run(order), say)).perSecond,
      );
      say(`  reads ${values.candidate.map((rate) => rate.toFixed(0)).join(', ')}/s`);
      return [
        makeFigure({
          bench: 'read',
          name: 'GET /records/{id} ÷ POST /mappings',
          candidate: { name: 'GET /records/{id}, 32 connections', unit: '/s', values: values.candidate },
          baseline: {
            name: 'POST /mappings with response, 32 connections',
            unit: '/s',
            values: values.baseline,
          },
        }),
      ];
    } finally {
      await client.stop();
      await bench.stop();
    }
  },
};
