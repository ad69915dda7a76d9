/**
 * `npm run mutate [-- NAME…] [--sample N] [--seed N] [--workers N] [--tests REGEX]`
 * Mutation testing: changes one place of the code at a time and runs the tests that cover it. Prints, for each folder, the
 * share of mutants that the tests notice, and the mutants that survived. `--sample`: the number of mutants per folder, chosen
 * by the seed; 0 means all. `--tests`: only test files whose path matches. `--files`: how many test files run for a mutant, the
 * likeliest ones; 0 means all, until one fails. `--verbose`: prints each mutant at once, with the test that noticed it.
 */
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MUTATED, SCORE_MIN } from './folders.ts';
import { CoverageCache, coverageOf } from './coverage.ts';
import { listFiles, makeSandbox, sourcesOf, type Mutant } from './sandbox.ts';
import { TestRunner, type CoveringFile } from './test-runner.ts';

const ROOT = path.join(import.meta.dirname, '../..');
/** The likeliest test files of a mutant, which run before all others. */
const LIKELY_FILES = 12;

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

/**
 * The test files to run for a mutant, the likeliest first. Nearly every test calls some code, for example the authenticator. So
 * half of the likely ones are those that cover the most of the mutant's file, which may be its own tests; the others are the
 * fastest. All others follow: what is only called while a module loads seems to be covered by every test.
 */
function filesFor(mutant: Mutant, mutants: readonly Mutant[], covering: readonly CoveringFile[]): string[] {
  const beside = mutants.filter(({ file }) => file === mutant.file);
  const bySpeed = covering
    .filter(({ covered }) => covered.has(mutant.id))
    .sort((left, right) => left.milliseconds - right.milliseconds);
  const share = new Map(
    bySpeed.map((file) => [file, beside.filter(({ id }) => file.covered.has(id)).length] as const),
  );
  const byShare = bySpeed.toSorted((left, right) => (share.get(right) ?? 0) - (share.get(left) ?? 0));
  const chosen = new Set(byShare.slice(0, LIKELY_FILES / 2));
  for (const file of bySpeed) if (chosen.size < LIKELY_FILES) chosen.add(file);
  const isLikely = (file: CoveringFile): boolean => chosen.has(file);
  return [...bySpeed.filter(isLikely), ...byShare.filter((file) => !isLikely(file))].map(({ file }) => file);
}

async function tryMutants(
  name: string,
  tried: readonly Mutant[],
  mutants: readonly Mutant[],
  covering: readonly CoveringFile[],
  runner: TestRunner,
  filesMax: number,
  onTried: (line: string) => void,
): Promise<boolean> {
  const survived: string[] = [];
  for (const mutant of tried) {
    const covered = filesFor(mutant, mutants, covering);
    const files = covered.slice(0, filesMax === 0 ? covered.length : filesMax);
    const killer = files.length === 0 ? undefined : await runner.killerOf(mutant.id, files);
    const told =
      killer === undefined
        ? `${files.length} of ${covered.length} covering test files ran`
        : path.basename(killer);
    const line = `  ${killer === undefined ? 'survived' : 'noticed'}: ${describe(mutant)} (${told})`;
    if (killer === undefined) survived.push(line);
    onTried(line);
  }
  const score = tried.length === 0 ? 100 : (100 * (tried.length - survived.length)) / tried.length;
  print(
    `${name}: ${score.toFixed(0)} % of ${tried.length} mutants noticed${score < SCORE_MIN ? `, under ${SCORE_MIN}` : ''}`,
  );
  for (const line of survived) print(line);
  return score >= SCORE_MIN;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string', default: '25' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '2' },
    tests: { type: 'string', default: '' },
    files: { type: 'string', default: '0' },
    verbose: { type: 'boolean', default: false },
  },
});
const names = positionals.length === 0 ? Object.keys(MUTATED) : positionals;
const unknown = names.filter((name) => !(name in MUTATED));
if (unknown.length > 0)
  throw new Error(`no such folders: ${unknown.join(', ')}; there are ${Object.keys(MUTATED).join(', ')}`);
const folder = await mkdtemp(path.join(tmpdir(), 'comply-mutate-'));
const sandbox = path.join(folder, 'sandbox');
try {
  // All folders, whichever are tried: so a mutant's id and the kept coverage stay the same.
  const sources = sourcesOf(ROOT, Object.values(MUTATED).flat());
  const mutants = await makeSandbox(ROOT, sandbox, sources);
  print(`${mutants.length} mutants in ${sources.length} files`);
  const runner = new TestRunner(sandbox, Number(values.workers));
  try {
    // Left out: fault tests, because they measure time and the mutants' switches slow the code down; tests of the project's
    // files and their texts, because the sandbox changes those files.
    const pattern = new RegExp(values.tests);
    const isWanted = (file: string): boolean =>
      pattern.test(file) &&
      !/^tests\/faults\/|^tests\/(project|table-owners)\.test|^(dev|bench)\//.test(file);
    const cache = new CoverageCache(ROOT, listFiles(ROOT));
    const covering = await coverageOf(runner, cache, sandbox, path.join(folder, 'coverage'), isWanted);
    let isEnough = true;
    for (const name of names) {
      const own = mutants.filter(({ file }) => (MUTATED[name] ?? []).some((at) => file.startsWith(`${at}/`)));
      const sample = draw(own, Number(values.sample), random(Number(values.seed)));
      const onTried = values.verbose ? print : (): void => undefined;
      const filesMax = Number(values.files);
      if (!(await tryMutants(name, sample, mutants, covering, runner, filesMax, onTried))) isEnough = false;
    }
    process.exitCode = isEnough ? 0 : 1;
  } finally {
    await runner.close();
  }
} finally {
  process.chdir(ROOT);
  rmSync(folder, { recursive: true, force: true });
}
