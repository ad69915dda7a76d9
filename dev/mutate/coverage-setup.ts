import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect } from 'vitest';

// Runs in each test file's process: writes which mutants the file's tests covered.

interface Instrumented {
  readonly __stryker__?: { readonly mutantCoverage?: { readonly static: Readonly<Record<string, number>> } };
}

const folder = process.env['MUTATE_COVERAGE_FOLDER'];
if (folder !== undefined) {
  afterAll(() => {
    const file = expect.getState().testPath ?? '';
    const covered = Object.keys((globalThis as Instrumented).__stryker__?.mutantCoverage?.static ?? {});
    mkdirSync(folder, { recursive: true });
    const name = Buffer.from(file).toString('base64url').slice(-180);
    writeFileSync(path.join(folder, `${name}.json`), JSON.stringify({ file, covered }));
  });
}
