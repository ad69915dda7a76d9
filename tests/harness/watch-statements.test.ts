import { expect, test } from 'vitest';
import { startTestApp } from './app.ts';

const app = await startTestApp();
const seen = (table: string): string[] => [...app.tenantStatements].filter((text) => text.includes(table));

test('every tenant statement is checked, the app’s and the test’s', async () => {
  expect(seen('mapper_requests')).toEqual([]);
  const list = await app.request('GET', '/api/v1/mappings', { key: app.keys.acme.reader });
  expect([list.status, seen('mapper_requests').length]).toEqual([200, 1]);
  await app.services.forTenant('acme').core.statement('select 1 as from_the_test from scope');
  expect(seen('from_the_test')).toHaveLength(1);
});
