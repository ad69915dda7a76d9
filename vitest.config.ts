import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './tests/harness/longest-first.ts';
import { findMemoryFolder } from './tests/harness/memory-folder.ts';

// Files wait for PostgreSQL and Azurite more than they compute: two at once leave two cores idle for two fifths of the time.
const WORKERS = Math.min(4, Math.max(3, availableParallelism()));

// Where Node and the parts put temporary data, in this process and those that it starts. Your own TMPDIR is left alone.
const memoryFolder = findMemoryFolder();
if (memoryFolder !== undefined) process.env['TMPDIR'] ??= memoryFolder;

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    maxWorkers: WORKERS,
    globalSetup: ['tests/harness/global-setup.ts'],
    // Node itself loads the code: all of it is erasable TypeScript, and no test mocks a module. Vite would transform and wrap each file.
    experimental: { viteModuleRunner: false, nodeLoader: false },
    setupFiles: [fileURLToPath(new URL('tests/harness/load-typescript.js', import.meta.url))],
    sequence: { sequencer: LongestFirst },
    // Bounds, not expectations: a test that reaches one hangs.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    // A mistake must not look like a green run.
    allowOnly: process.env['CI'] === undefined,
    passWithNoTests: false,
    // The app logs every request it serves: what a passing test has logged helps nobody to read the result.
    silent: 'passed-only',
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{shared,functions,tools,dev,bench}/**/*.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'stack',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/faults/**'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['tests/faults/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Last and one by one: they hold answers to limits of time, which tests beside them would use up.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
