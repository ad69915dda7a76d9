import path from 'node:path';
import { ESLint } from 'eslint';
import { expect, it } from 'vitest';
import tseslint from 'typescript-eslint';

const ROOT = path.join(import.meta.dirname, '../..');

// Without the rules that need types: a made-up file is in no project.
const eslint = new ESLint({ cwd: ROOT, overrideConfig: [tseslint.configs.disableTypeChecked] });

/** The messages about a text that stands in a file. */
async function lint(file: string, text: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: path.join(ROOT, file) });
  return (result?.messages ?? []).map(({ message }) => message);
}

const CROSSING = [
  'export const read = (call: Call) => call.services.crossTenant.core;',
  `export const read = (call: Call) => call.services['crossTenant'];`,
  'export const read = ({ services: { crossTenant } }: Call) => crossTenant;',
  `import type { CrossTenantDatabase } from '../../shared/platform/db/tenant-database.ts';\nexport type Own = CrossTenantDatabase;`,
];

it.each(CROSSING)('a function takes nothing that crosses tenants: %s', async (text) => {
  expect(await lint('functions/http/made-up.ts', text)).toContainEqual(
    expect.stringMatching(/crosses tenants/),
  );
  expect(await lint('functions/services.ts', text)).toEqual([]);
  expect(await lint('shared/domains/records/made-up.ts', text)).toEqual([]);
});

it('the environment is read by the settings alone', async () => {
  const text = `export const value = process.env['NAME'];`;
  for (const file of [
    'functions/http/made-up.ts',
    'functions/services.ts',
    'shared/domains/records/made-up.ts',
  ])
    expect(await lint(file, text)).toEqual([expect.stringMatching(/^Settings are read in/)]);
  expect(await lint('shared/platform/config/settings.ts', text)).toEqual([]);
});

it('what is exported has a name', async () => {
  expect(await lint('shared/domains/records/made-up.ts', 'export default 1;')).toEqual([
    expect.stringMatching(/^Named exports/),
  ]);
});
