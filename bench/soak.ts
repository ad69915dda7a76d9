import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { makeFigure, median, slope } from './figures.ts';
import { HostInspector, INSPECTABLE } from './host-inspector.ts';
import { LoadClient } from './load/client.ts';
import type { LoadResult } from './load/protocol.ts';
import { createMappings } from './create-mappings.ts';

const WARM_UP_S = 15;
const TOP_RATE_S = 10;
/** The load runs in slices. Between them the host is idle and is sampled. */
const SLICE_S = 30;
/** Enough time for the host to finish its work: answers are sent, events are published. */
const SETTLE_MS = 1_000;
/** One garbage collection may leave memory that only the next one frees. */
const COLLECTIONS = 3;
const MEGABYTE = 1024 * 1024;

interface HostSample {
  readonly heapMb: number;
  readonly rssMb: number;
  readonly connections: number;
}

const memorySchema = z.object({
  result: z.object({ value: z.object({ heapUsed: z.number(), rss: z.number() }) }),
});

async function sampleHost(bench: BenchStack, inspector: HostInspector): Promise<HostSample> {
  await delay(SETTLE_MS);
  for (let n = 0; n < COLLECTIONS; n += 1) await inspector.call('HeapProfiler.collectGarbage');
  const evaluated = await inspector.call('Runtime.evaluate', {
    expression: 'process.memoryUsage()',
    returnByValue: true,
  });
  const { heapUsed, rss } = memorySchema.parse(evaluated).result.value;
  const [row] = await bench.core<{ connections: number }[]>`
    select count(*)::int as connections from pg_stat_activity where application_name like 'comply-ai:%'`;
  return { heapMb: heapUsed / MEGABYTE, rssMb: rss / MEGABYTE, connections: row?.connections ?? 0 };
}

async function soak(bench: BenchStack, client: LoadClient, sizes: Sizes, say: (line: string) => void) {
  await client.run(createMappings(bench, WARM_UP_S));
  const top = (await client.run(createMappings(bench, TOP_RATE_S))).perSecond;
  await bench.drainOutbox();
  const rate = top / 2;
  say(`  top rate ${top.toFixed(0)}/s; now ${rate.toFixed(0)}/s for ${sizes.soakMinutes} minutes`);
  const inspector = await HostInspector.open(bench.stack);
  const samples: HostSample[] = [];
  const results: LoadResult[] = [];
  try {
    // Not sampled before: the first load fills pools, caches and compiled code, which is not a leak.
    await client.run(createMappings(bench, SLICE_S, { rate }));
    samples.push(await sampleHost(bench, inspector));
    const endsAt = Date.now() + sizes.soakMinutes * 60_000;
    while (Date.now() < endsAt) {
      results.push(await client.run(createMappings(bench, SLICE_S, { rate })));
      samples.push(await sampleHost(bench, inspector));
      const [result, sample] = [results.at(-1), samples.at(-1)];
      say(
        `  ${result?.perSecond.toFixed(0)}/s, p50 ${result?.p50Ms.toFixed(1)} ms, p99 ${result?.p99Ms.toFixed(1)} ms, ` +
          `heap ${sample?.heapMb.toFixed(1)} MB, RSS ${sample?.rssMb.toFixed(0)} MB, ${sample?.connections} connections`,
      );
    }
  } finally {
    inspector.close();
  }
  return { rate, samples, results };
}

function describeSlope(values: readonly number[]): string {
  const minutes = values.map((value, n): [number, number] => [(n * SLICE_S) / 60, value]);
  return `${slope(minutes).toFixed(2)} MB a minute`;
}

/** Whether a host's memory and connections stay the same over time. */
export const soakBench: Bench = {
  name: 'soak',
  what: 'writes at half of the top rate: memory, connections, and p99 ÷ p50',
  byDefault: false,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone', { settings: INSPECTABLE });
    const client = await LoadClient.start();
    try {
      const { rate, samples, results } = await soak(bench, client, sizes, say);
      const [first, last] = [samples[0], samples.at(-1)];
      if (first === undefined || last === undefined) throw new Error('nothing was measured');
      const time = `${sizes.soakMinutes} minutes at ${rate.toFixed(0)} writes a second`;
      const part = (name: string, key: keyof HostSample, unit: string) => {
        const values = samples.map((sample) => sample[key]);
        const early = values.slice(0, Math.ceil(values.length / 4));
        const late = values.slice(-early.length);
        return makeFigure({
          bench: 'soak',
          name: `${name}, last quarter ÷ first`,
          candidate: { name: `${name} in the last quarter`, unit, values: [median(late)] },
          baseline: { name: `${name} in the first quarter`, unit, values: [median(early)] },
          notes: [unit === 'MB' ? `slope ${describeSlope(values)}; ${time}` : time],
        });
      };
      return [
        makeFigure({
          bench: 'soak',
          name: 'p99 ÷ p50 of a write at half of the top rate',
          candidate: { name: 'p99', unit: 'ms', values: results.map((result) => result.p99Ms) },
          baseline: { name: 'p50', unit: 'ms', values: results.map((result) => result.p50Ms) },
          notes: [time],
        }),
        part('heap after collection', 'heapMb', 'MB'),
        part('RSS', 'rssMb', 'MB'),
        part('database connections', 'connections', ''),
      ];
    } finally {
      await client.stop();
      await bench.stop();
    }
  },
};
