import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cruise } from 'dependency-cruiser';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CRUISE_OPTIONS } from './layer-rules.ts';

/**
 * A small repository with one import per file: the file, what it imports, and the rule that forbids it. A rule with `values`
 * allows the import of a type.
 */
const IMPORTS: readonly (readonly [file: string, imported: string, rule?: string, only?: 'values'])[] = [
  ['shared/platform/db/a.ts', '../../domains/records/a.ts', 'platform-imports-no-domain'],
  ['shared/platform/db/b.ts', '../log/a.ts'],
  ['shared/platform/db/databases.ts', './pool.ts'],
  ['shared/platform/db/pool.ts', '../log/a.ts'],
  ['shared/platform/http/a.ts', '../db/pool.ts', 'only-services-open-pools'],
  ['shared/platform/http/b.ts', '@azure/functions', 'only-register-uses-azure-functions', 'values'],
  ['shared/domains/records/pool.ts', '../../platform/db/databases.ts', 'only-services-open-pools'],
  ['shared/domains/records/pool.test.ts', '../../platform/db/databases.ts'],
  ['shared/domains/records/a.ts', '../../platform/log/a.ts'],
  ['shared/domains/records/b.ts', '../../../dev/a.ts', 'shared-imports-no-caller'],
  ['shared/domains/records/c.ts', '../../../functions/main.ts', 'shared-imports-no-caller'],
  ['shared/domains/records/d.ts', 'for-tests', 'no-dev-dependency-in-a-deployment'],
  ['shared/domains/records/e.ts', './f.ts', 'no-file-cycle'],
  ['shared/domains/records/f.ts', './e.ts'], // a cycle is reported once
  ['shared/domains/records/c.test.ts', '../../../tests/a.ts'],
  ['functions/main.ts', '../shared/domains/records/a.ts'],
  ['functions/services.ts', '../shared/platform/db/databases.ts'],
  ['functions/register.ts', '@azure/functions'],
  ['functions/http/a.ts', '@azure/functions', 'only-register-uses-azure-functions', 'values'],
  ['functions/http/b.ts', '../../shared/platform/db/b.ts', 'functions-import-no-database'],
  ['tools/pool.ts', '../shared/platform/db/databases.ts', 'only-services-open-pools'],
  ['functions/other.ts', '../tools/a.ts', 'functions-import-only-shared'],
  ['tools/a.ts', '../shared/platform/log/a.ts'],
  ['tools/b.ts', '../dev/a.ts', 'tools-import-only-what-is-deployed'],
  ['tools/c.ts', '../functions/services.ts'],
  ['functions/timers.ts', '../shared/platform/log/a.ts'],
  ['tools/i.ts', '../functions/timers.ts'],
  ['dev/c.ts', '../functions/timers.ts', 'dev-imports-no-test'],
  ['tools/d.ts', '../functions/main.ts', 'tools-import-only-what-is-deployed'],
  ['tools/e.ts', 'for-tests', 'no-dev-dependency-in-a-deployment'],
  ['tools/f.ts', 'for-the-app'],
  ['tools/g.ts', 'undeclared', 'no-undeclared-package'],
  ['tools/h.ts', './not-there.ts', 'no-unresolved-import'],
  ['dev/a.ts', 'for-tests'],
  ['dev/b.ts', '../tests/a.ts', 'dev-imports-no-test'],
  ['tests/a.ts', '../dev/a.ts'],
  ['shared/platform/log/a.ts', 'node:util'],
];

const root = mkdtempSync(path.join(tmpdir(), 'comply-layers-'));

function write(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), text);
}

beforeAll(() => {
  write(
    'package.json',
    '{"dependencies":{"for-the-app":"1","@azure/functions":"1"},"devDependencies":{"for-tests":"1"}}',
  );
  for (const name of ['for-the-app', 'for-tests', 'undeclared', '@azure/functions']) {
    write(`node_modules/${name}/package.json`, `{"name":"${name}","version":"1.0.0","main":"index.js"}`);
    write(`node_modules/${name}/index.js`, 'exports.value = 1;');
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

it.each([
  ['a value', 'import { value } from'],
  ['a type', 'import type { value } from'],
])('the layers hold for an import of %s', async (what, statement) => {
  for (const [file, imported] of IMPORTS) write(file, `${statement} '${imported}';\nexport const own = 1;\n`);
  const { output } = await cruise(['functions', 'shared', 'tools', 'dev', 'tests'], {
    ...CRUISE_OPTIONS,
    baseDir: root,
  });
  if (typeof output === 'string') throw new Error(output);
  const found = output.summary.violations.map(({ from, rule }) => `${from} ${rule.name}`);
  const expected = IMPORTS.filter(
    ([, , rule, only]) => rule !== undefined && (only === undefined || what === 'a value'),
  ).map(([file, , rule]) => `${file} ${rule}`);
  expect([...new Set(found)].sort()).toEqual(expected.sort());
});
