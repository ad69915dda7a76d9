import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { makeFigure, median } from './figures.ts';
import { fillRecords } from './fill-records.ts';
import { undisturbed } from './undisturbed.ts';

/** The records are of this many days, so none has expired. */
const DAYS = 45;
/** Rows of a page, to find the far page fast (the maximum) and to measure (the usual number). */
const WALK_LIMIT = 500;
const PAGE_LIMIT = 50;
/** The far page is this many rows before the end. */
const FROM_END = 1_000;
const REQUESTS_A_ROUND = 100;

interface Page {
  readonly rows: number;
  readonly next: string | undefined;
}

async function readPage(bench: BenchStack, url: string): Promise<Page> {
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${bench.stack.keys.tenants.acme.reader}` },
  });
  const body = (await response.json()) as { items?: readonly unknown[] };
  if (response.status !== 200 || body.items === undefined)
    throw new Error(`a page returned ${response.status}`);
  return {
    rows: body.items.length,
    next: /^<([^>]*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1],
  };
}

function withLimit(url: string, limit: number): string {
  const changed = new URL(url);
  changed.searchParams.set('limit', String(limit));
  return changed.href;
}

/** Reads the whole list, page by page, and returns the address of a page near its end. */
async function findFarPage(bench: BenchStack, first: string, rows: number): Promise<string> {
  let url: string | undefined = withLimit(first, WALK_LIMIT);
  let far = url;
  let seen = 0;
  while (url !== undefined) {
    if (seen <= rows - FROM_END) far = url;
    const page: Page = await readPage(bench, url);
    seen += page.rows;
    url = page.next;
  }
  if (seen !== rows) throw new Error(`the list has ${seen} rows instead of ${rows}`);
  return withLimit(far, PAGE_LIMIT);
}

/**
 * The median times of two pages, read in turns, so that other work on the machine disturbs both equally.
 */
async function timePages(
  bench: BenchStack,
  first: string,
  far: string,
): Promise<{ first: number; far: number }> {
  const times = { first: [] as number[], far: [] as number[] };
  const time = async (of: number[], url: string): Promise<void> => {
    const startedAt = performance.now();
    const page = await readPage(bench, url);
    of.push(performance.now() - startedAt);
    if (page.rows !== PAGE_LIMIT) throw new Error(`a page has ${page.rows} rows`);
  };
  for (let n = 0; n < REQUESTS_A_ROUND; n += 1) {
    await time(times.first, first);
    await time(times.far, far);
  }
  return { first: median(times.first), far: median(times.far) };
}

async function measure(bench: BenchStack, sizes: Sizes, say: (line: string) => void) {
  await fillRecords(bench.core, { rows: sizes.rows, newestDaysAgo: 0, days: DAYS });
  const first = `${bench.stack.baseUrl}/api/v1/records?limit=${PAGE_LIMIT}`;
  const far = await findFarPage(bench, first, sizes.rows);
  say(`  read ${sizes.rows} records in pages of ${WALK_LIMIT}`);
  await timePages(bench, first, far); // warm-up, so that the host's code is compiled
  const rounds: { first: number; far: number }[] = [];
  for (let round = 0; round < sizes.rounds; round += 1)
    rounds.push(await undisturbed(() => timePages(bench, first, far), say));
  return makeFigure({
    bench: 'far-page',
    name: `page at the end of ${sizes.rows.toLocaleString('en')} records ÷ the first one`,
    candidate: {
      name: 'GET /records, by the cursor near the end',
      unit: 'ms',
      values: rounds.map((round) => round.far),
    },
    baseline: { name: 'GET /records, first page', unit: 'ms', values: rounds.map((round) => round.first) },
    target: { bound: 'at most', value: 1.2 },
    notes: [
      `${PAGE_LIMIT} rows a page, of ${DAYS} days; read in turns, each value the median of ${REQUESTS_A_ROUND}`,
    ],
  });
}

/** Whether every page of a list costs the same. */
export const farPageBench: Bench = {
  name: 'far-page',
  what: 'latency of a page at the far end of a long list ÷ that of its first page',
  byDefault: true,
  async run(sizes, say) {
    const bench = await startBenchStack('http alone');
    try {
      return [await measure(bench, sizes, say)];
    } finally {
      await bench.stop();
    }
  },
};
