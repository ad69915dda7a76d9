import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { interleave, makeFigure, median, percentile } from './figures.ts';
import { LoadClient } from './load/client.ts';
import { pgbenchLatencies, pgbenchRound } from './pgbench-round.ts';
import { CONNECTIONS, createMappings } from './create-mappings.ts';
import { TEXTBOOK } from './textbook.ts';
import { undisturbed } from './undisturbed.ts';

const WARM_UP_S = 8;
/** A round is this many times longer than in other benchmarks, because only one answer in a hundred counts. */
const LONGER = 3;

async function measure(
  bench: BenchStack,
  client: LoadClient,
  { rounds, secondsEach }: Sizes,
  say: (line: string) => void,
) {
  await client.run(createMappings(bench, WARM_UP_S));
  await bench.drainOutbox();
  const top = {
    service: (await undisturbed(() => client.run(createMappings(bench, secondsEach)), say)).perSecond,
    pgbench: await undisturbed(() => pgbenchRound(bench, TEXTBOOK, CONNECTIONS, secondsEach), say),
  };
  const half = { service: top.service / 2, pgbench: top.pgbench / 2 };
  say(`  at ${half.service.toFixed(0)} writes and ${half.pgbench.toFixed(0)} transactions a second`);
  const seconds = secondsEach * LONGER;
  const p50s: number[] = [];
  const values = await interleave(
    rounds,
    () =>
      undisturbed(async () => {
        const times = await pgbenchLatencies(bench, TEXTBOOK, CONNECTIONS, seconds, half.pgbench);
        say(`  pgbench: p50 ${median(times).toFixed(1)} ms, p99 ${percentile(times, 0.99).toFixed(1)} ms`);
        return percentile(times, 0.99);
      }, say),
    () =>
      undisturbed(async () => {
        await bench.drainOutbox();
        await bench.settle();
        const { p50Ms, p99Ms } = await client.run(createMappings(bench, seconds, { rate: half.service }));
        p50s.push(p50Ms);
        say(`  POST /mappings: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`);
        return p99Ms;
      }, say),
  );
  return makeFigure({
    bench: 'tail',
    name: 'p99 of POST /mappings ÷ p99 of the textbook transaction, each at half of its top rate',
    candidate: { name: 'POST /mappings with response', unit: 'ms', values: values.candidate },
    baseline: { name: 'pgbench, behind schedule included', unit: 'ms', values: values.baseline },
    target: { bound: 'at most', value: 3 },
    notes: [
      `${half.service.toFixed(0)} writes, ${half.pgbench.toFixed(0)} transactions a second; p50 of a write ${median(p50s).toFixed(1)} ms`,
    ],
  });
}

/** How slow the slowest writes are. */
export const tailBench: Bench = {
  name: 'tail',
  what: 'p99 of POST /mappings ÷ p99 of the textbook transaction by pgbench, each at half of its top rate',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone');
    const client = await LoadClient.start();
    try {
      return [await measure(bench, client, sizes, say)];
    } finally {
      await client.stop();
      await bench.stop();
    }
  },
};
