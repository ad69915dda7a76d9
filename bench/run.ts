/**
 * `npm run bench [-- NAME…] [--quick] [--rounds N] [--seconds N] [--rows N] [--soak [--minutes N]] [--profile DIR]`
 * Runs the named benchmarks, or all except the soak, and prints the table. With the full number of rows it also writes the
 * figures to bench/results.json and into the tables of README.md and docs/performance.md.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Bench, Sizes } from './bench.ts';
import type { Figure } from './figures.ts';
import { credentialsBench } from './credentials.ts';
import { coldStartBench } from './cold-start.ts';
import { eventsBench } from './events.ts';
import { expiryBench } from './expiry.ts';
import { farPageBench } from './far-page.ts';
import { quoteFigures } from './quote-figures.ts';
import { readBench } from './read.ts';
import { soakBench } from './soak.ts';
import { describeFigures, writeResults } from './report.ts';
import { stripeEventsBench } from './stripe-events.ts';
import { tailBench } from './tail.ts';
import { writeBench } from './write.ts';

const BENCHES: readonly Bench[] = [
  writeBench,
  tailBench,
  coldStartBench,
  readBench,
  credentialsBench,
  farPageBench,
  expiryBench,
  eventsBench,
  stripeEventsBench,
  soakBench,
];

/** The targets are for the full sizes. The quick ones only show that everything works. */
const FULL = { rounds: 5, seconds: 6, rows: 1_000_000 };
const QUICK = { rounds: 2, seconds: 2, rows: 20_000 };

function readArguments(): { benches: readonly Bench[]; sizes: Sizes } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      rows: { type: 'string' },
      soak: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '10' },
      profile: { type: 'string' },
    },
  });
  const names = values.soak ? [...positionals, 'soak'] : positionals;
  const unknown = names.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `no such bench: ${unknown.join(', ')}; there are ${BENCHES.map(({ name }) => name).join(', ')}`,
    );
  }
  const usual = values.quick ? QUICK : FULL;
  const sizes = {
    rounds: Number(values.rounds ?? usual.rounds),
    secondsEach: Number(values.seconds ?? usual.seconds),
    rows: Number(values.rows ?? usual.rows),
    soakMinutes: Number(values.minutes),
    profileFolder: values.profile,
  };
  const benches = BENCHES.filter(({ name, byDefault }) =>
    names.length === 0 ? byDefault : names.includes(name),
  );
  return { benches, sizes };
}

const RESULTS = new URL('results.json', import.meta.url);
const README = new URL('../README.md', import.meta.url);
const PERFORMANCE = new URL('../docs/performance.md', import.meta.url);

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

try {
  const { benches, sizes } = readArguments();
  const figures: Figure[] = [];
  const failed: string[] = [];
  for (const bench of benches) {
    say(`${bench.name}: ${bench.what}`);
    try {
      figures.push(...(await bench.run(sizes, say)));
      // After each benchmark, so that its figures are kept when a later one fails or is stopped.
      if (sizes.rows === FULL.rows) writeResults(RESULTS, figures);
    } catch (error) {
      failed.push(bench.name);
      process.stderr.write(`${describeError(error)}\n`);
    }
  }
  say(`\n${describeFigures(figures)}`);
  if (sizes.rows !== FULL.rows) say('\nNot the full number of rows: the figures are not saved.');
  else {
    const results: unknown = JSON.parse(readFileSync(RESULTS, 'utf8'));
    await quoteFigures(README, results, true);
    await quoteFigures(PERFORMANCE, results, false);
  }
  if (failed.length > 0) throw new Error(`not measured: ${failed.join(', ')}`);
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
