import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { CoveringFile, TestRunner } from './test-runner.ts';

const keptFile = z.object({ covered: z.array(z.string()), milliseconds: z.number() });
const isTest = (file: string): boolean => file.endsWith('.test.ts');
/** Files that no test's coverage depends on. */
const IGNORED =
  /\.md$|^(bench|docs|dev\/lint|\.ci)\/|^(dev\/mutate\/(main|coverage|test-runner)\.ts|knip\.json|eslint\.config\.js)$/;

/**
 * What each test file covers. The result is kept per test file as long as the code stays the same, so a second run starts at
 * once, and a new test costs only itself.
 */
export class CoverageCache {
  readonly #folder: string;

  /** `listed`: the repository's files. */
  constructor(root: string, listed: readonly string[]) {
    const hash = createHash('sha256').update(process.version);
    for (const file of listed.filter((file) => !isTest(file) && !IGNORED.test(file)).sort())
      if (existsSync(path.join(root, file)))
        hash.update(`\0${file}\0`).update(readFileSync(path.join(root, file)));
    const all = path.join(root, '.local/mutate');
    const code = hash.digest('hex').slice(0, 20);
    mkdirSync(path.join(all, code), { recursive: true });
    for (const name of readdirSync(all)) if (name !== code) rmSync(path.join(all, name), { recursive: true });
    this.#folder = path.join(all, code);
  }

  /** What a test file covers, if it ran with this code. */
  find(sandbox: string, file: string): CoveringFile | undefined {
    const at = this.#at(sandbox, file);
    if (!existsSync(at)) return undefined;
    const { covered, milliseconds } = keptFile.parse(JSON.parse(readFileSync(at, 'utf8')));
    return { file, covered: new Set(covered), milliseconds };
  }

  keep(sandbox: string, { file, covered, milliseconds }: CoveringFile): void {
    writeFileSync(this.#at(sandbox, file), JSON.stringify({ covered: [...covered], milliseconds }));
  }

  #at(sandbox: string, file: string): string {
    const hash = createHash('sha256').update(path.relative(sandbox, file)).update(readFileSync(file));
    return path.join(this.#folder, `${hash.digest('hex').slice(0, 32)}.json`);
  }
}

/** What the wanted test files cover; runs those that the cache does not know. @throws if one fails twice without a mutant. */
export async function coverageOf(
  runner: TestRunner,
  cache: CoverageCache,
  sandbox: string,
  folder: string,
  isWanted: (name: string) => boolean,
): Promise<CoveringFile[]> {
  const files = (await runner.files()).filter((file) => isWanted(path.relative(sandbox, file)));
  let missing = files.filter((file) => cache.find(sandbox, file) === undefined);
  for (let attempt = 1; missing.length > 0; attempt++) {
    process.stdout.write(`running ${missing.length} test files without a mutant\n`);
    const { covering, failed } = await runner.cover(`${folder}-${attempt}`, missing);
    for (const file of covering) cache.keep(sandbox, file);
    if (attempt === 2 && failed.length > 0)
      throw new Error(`without a mutant these tests fail: ${failed.join(', ')}`);
    missing = failed;
  }
  return files.flatMap((file) => cache.find(sandbox, file) ?? []);
}
