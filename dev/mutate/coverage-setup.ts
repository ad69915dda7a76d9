import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect } from 'vitest';

// Runs in each test file's process: writes which mutants the file's tests covered, and ends endless loops.

interface Instrumented {
  __stryker__?: {
    readonly mutantCoverage?: { readonly static: Readonly<Record<string, number>> };
    hitCount?: number;
    hitLimit?: number;
  };
}

/** How often the active mutant's code may run. A loop that a mutant made endless fails after it, instead of blocking. */
const HITS_MAX = 5_000_000;

const instrumented = ((globalThis as Instrumented).__stryker__ ??= {});
const folder = process.env['MUTATE_COVERAGE_FOLDER'];
if (folder === undefined) Object.assign(instrumented, { hitCount: 0, hitLimit: HITS_MAX });
else
  afterAll(() => {
    const file = expect.getState().testPath ?? '';
    const covered = Object.keys(instrumented.mutantCoverage?.static ?? {});
    mkdirSync(folder, { recursive: true });
    const name = Buffer.from(file).toString('base64url').slice(-180);
    writeFileSync(path.join(folder, `${name}.json`), JSON.stringify({ file, covered }));
  });
