import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';

const read = (file: string): unknown =>
  JSON.parse(readFileSync(path.join(import.meta.dirname, '../..', file), 'utf8'));

const config = z
  .object({
    automerge: z.boolean(),
    minimumReleaseAge: z.string(),
    rangeStrategy: z.string(),
    packageRules: z.array(z.object({ matchPackageNames: z.array(z.string()).optional() })),
  })
  .parse(read('renovate.json'));
const versions = z.record(z.string(), z.string());
const { dependencies, devDependencies } = z
  .object({ dependencies: versions, devDependencies: versions })
  .parse(read('package.json'));

test('nothing is merged by itself, or before it is two weeks old, and the lock file has the exact versions', () => {
  expect(config).toMatchObject({
    automerge: false,
    minimumReleaseAge: '14 days',
    rangeStrategy: 'update-lockfile',
  });
});

test('each name in a rule is one of our packages', () => {
  const names = [...Object.keys(dependencies), ...Object.keys(devDependencies)];
  const ruled = config.packageRules.flatMap(({ matchPackageNames }) => matchPackageNames ?? []);
  expect(ruled.length).toBeGreaterThan(10);
  const unknown = ruled
    .map((pattern) => pattern.replace(/^!/, ''))
    .filter((pattern) =>
      pattern.endsWith('/**')
        ? !names.some((name) => name.startsWith(pattern.slice(0, -2)))
        : !names.includes(pattern),
    );
  expect(unknown).toEqual([]);
});
