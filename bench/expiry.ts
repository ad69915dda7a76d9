import { z } from 'zod';
import { openApiClient } from '../dev/client/api-client.ts';
import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { makeFigure } from './figures.ts';
import { countExpired, dropFilled, fillRecords } from './fill-records.ts';

/** The records are of this many days, one partition per day, and all are past their ninety days. */
const DAYS = 4;
const NEWEST_DAYS_AGO = 95;
/** Few rounds, because each one fills four million rows. */
const ROUNDS_MAX = 3;

const runSchema = z.looseObject({ status: z.literal('completed'), deleted: z.int() });

function fill(bench: BenchStack, rows: number): Promise<void> {
  return fillRecords(bench.core, { rows, newestDaysAgo: NEWEST_DAYS_AGO, days: DAYS });
}

/** Milliseconds of a run of the job over `rows` expired records, from the request to its answer. */
async function expire(bench: BenchStack, rows: number): Promise<number> {
  await fill(bench, rows);
  const client = openApiClient(bench.stack.baseUrl, bench.stack.keys.operator);
  const startedAt = performance.now();
  const answer = await client.send('POST', '/api/v1/platform/jobs/records-expire/runs', {});
  const ms = performance.now() - startedAt;
  runSchema.parse(answer.body);
  const left = await countExpired(bench.core);
  if (left > 0) throw new Error(`${left} expired records were not deleted`);
  await dropFilled(bench.core);
  return ms;
}

/** Milliseconds of one plain DELETE of `rows` records by the superuser, for whom no policy is checked. */
async function deletePlainly(bench: BenchStack, rows: number): Promise<number> {
  await fill(bench, rows);
  const startedAt = performance.now();
  const { count } = await bench.core`delete from storage_records where expires_at <= now()`;
  const ms = performance.now() - startedAt;
  if (count !== rows) throw new Error(`${count} rows were deleted instead of ${rows}`);
  await dropFilled(bench.core);
  return ms;
}

async function measure(bench: BenchStack, sizes: Sizes, say: (line: string) => void) {
  const { rows } = sizes;
  const rounds = Math.min(ROUNDS_MAX, sizes.rounds);
  const deleted: number[] = [];
  const expired: number[] = [];
  const twice: number[] = [];
  await expire(bench, Math.ceil(rows / 100)); // warm-up: in production the job has run before, too
  for (let round = 0; round < rounds; round += 1) {
    deleted.push(await deletePlainly(bench, rows));
    expired.push(await expire(bench, rows));
    twice.push(await expire(bench, 2 * rows));
    const [last, once, double] = [deleted, expired, twice].map((values) => values.at(-1)?.toFixed(0));
    say(`  DELETE ${last} ms, records-expire ${once} ms, of twice as many ${double} ms`);
  }
  const count = rows.toLocaleString('en');
  const job = (values: number[], of: string) => ({
    name: `records-expire, ${of} records`,
    unit: 'ms',
    values,
  });
  return [
    makeFigure({
      bench: 'expiry',
      name: `expiring ${count} records ÷ one DELETE of as many`,
      candidate: job(expired, count),
      baseline: { name: 'one plain DELETE', unit: 'ms', values: deleted },
      target: { bound: 'at most', value: 0.15 },
      notes: [`archived records of ${DAYS} days, over the operator's route, from request to answer`],
    }),
    makeFigure({
      bench: 'expiry',
      name: `expiring ${(2 * rows).toLocaleString('en')} records ÷ ${count}`,
      candidate: job(twice, (2 * rows).toLocaleString('en')),
      baseline: job(expired, count),
      target: { bound: 'at most', value: 1.3 },
      notes: [`the same ${DAYS} days, each with twice the records`],
    }),
  ];
}

/** Whether expiry costs as much as the number of days, not as the number of records. */
export const expiryBench: Bench = {
  name: 'expiry',
  what: 'the records-expire job over expired, archived records ÷ one plain DELETE of as many',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone');
    try {
      return await measure(bench, sizes, say);
    } finally {
      await bench.stop();
    }
  },
};
