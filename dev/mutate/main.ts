/**
 * `npm run mutate [-- NAME…] [--sample N] [--seed N] [--workers N] [--tests REGEX]`
 * Mutation testing: changes one place of the code at a time and runs the tests that cover it. Prints, for each folder, the
 * share of mutants that the tests notice, and the mutants that survived. `--sample`: the number of mutants per folder, chosen
 * by the seed; 0 means all. `--tests`: only test files whose path matches.
 */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MUTATED, SCORE_MIN } from './folders.ts';
import { makeSandbox, sourcesOf, type Mutant } from './sandbox.ts';
import { TestRunner, type CoveringFile } from './test-runner.ts';

const ROOT = path.join(import.meta.dirname, '../..');
/** Test files to run for a mutant, at most: the fastest ones that cover it. If none of them fails, the mutant survived. */
const FILES_MAX = 12;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** A random number generator with a seed (mulberry32), so that a sample can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function draw<T>(items: readonly T[], count: number, next: () => number): T[] {
  if (count === 0 || items.length <= count) return [...items];
  return items
    .map((item) => ({ item, at: next() }))
    .sort((left, right) => left.at - right.at)
    .slice(0, count)
    .map(({ item }) => item);
}

function describe({ file, line, mutator, replacement }: Mutant): string {
  return `${file}:${line} ${mutator}: ${replacement.replaceAll(/\s+/g, ' ').slice(0, 100)}`;
}

async function tryFolder(
  name: string,
  mutants: readonly Mutant[],
  covering: readonly CoveringFile[],
  runner: TestRunner,
): Promise<boolean> {
  const survived: string[] = [];
  for (const mutant of mutants) {
    const files = covering
      .filter(({ covered }) => covered.has(mutant.id))
      .sort((left, right) => left.milliseconds - right.milliseconds)
      .slice(0, FILES_MAX)
      .map(({ file }) => file);
    if (files.length === 0) survived.push(`${describe(mutant)} (no test covers it)`);
    else if (!(await runner.isKilled(mutant.id, files))) survived.push(describe(mutant));
  }
  const score = mutants.length === 0 ? 100 : (100 * (mutants.length - survived.length)) / mutants.length;
  print(
    `${name}: ${score.toFixed(0)} % of ${mutants.length} mutants noticed${score < SCORE_MIN ? `, under ${SCORE_MIN}` : ''}`,
  );
  for (const line of survived) print(`  survived: ${line}`);
  return score >= SCORE_MIN;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '25' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    tests: { type: 'string', default: '' },
  },
});
const names = positionals.length === 0 ? Object.keys(MUTATED) : positionals;
const unknown = names.filter((name) => !(name in MUTATED));
if (unknown.length > 0)
  throw new Error(`no such folders: ${unknown.join(', ')}; there are ${Object.keys(MUTATED).join(', ')}`);
const folder = await mkdtemp(path.join(tmpdir(), 'comply-mutate-'));
const sandbox = path.join(folder, 'sandbox');
try {
  const sources = sourcesOf(
    ROOT,
    names.flatMap((name) => MUTATED[name] ?? []),
  );
  const mutants = await makeSandbox(ROOT, sandbox, sources);
  print(`${mutants.length} mutants in ${sources.length} files; running the tests once without any`);
  const runner = await TestRunner.start(sandbox, Number(values.workers));
  try {
    // Left out: fault tests, because they measure time and the mutants' switches slow the code down; tests of the project's
    // files, because the sandbox changes those files.
    const pattern = new RegExp(values.tests);
    const isWanted = (file: string): boolean =>
      pattern.test(path.relative(sandbox, file)) &&
      !/tests\/faults\/|tests\/project\.test|^.*\/(dev|bench)\//.test(file);
    const covering = await runner.cover(path.join(folder, 'coverage'), isWanted);
    const next = random(Number(values.seed));
    let isEnough = true;
    for (const name of names) {
      const own = mutants.filter(({ file }) => (MUTATED[name] ?? []).some((at) => file.startsWith(`${at}/`)));
      if (!(await tryFolder(name, draw(own, Number(values.sample), next), covering, runner)))
        isEnough = false;
    }
    process.exitCode = isEnough ? 0 : 1;
  } finally {
    await runner.close();
  }
} finally {
  process.chdir(ROOT);
  rmSync(folder, { recursive: true, force: true });
}
