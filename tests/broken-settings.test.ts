import { afterAll, expect, it, vi } from 'vitest';
import { startFunctionsHost } from '../dev/host/host.ts';
import { askForPart } from './harness/ask.ts';

const SECRET = 'hunter2';
const database = (role: string, password = 'pw'): string =>
  `postgres://${role}:${password}@127.0.0.1:1/comply`;
const RIGHT = {
  DEPLOYMENT_ENVIRONMENT: 'local',
  CORE_DATABASE_URL: database('comply_app'),
  BILLING_DATABASE_URL: database('comply_app'),
  ANALYTICS_DATABASE_URL: database('comply_app'),
  CORE_CROSS_TENANT_DATABASE_URL: database('comply_jobs'),
  BILLING_CROSS_TENANT_DATABASE_URL: database('comply_jobs'),
  ANALYTICS_CROSS_TENANT_DATABASE_URL: database('comply_jobs'),
  SERVICE_BUS_CONNECTION: 'Endpoint=sb://127.0.0.1;SharedAccessKeyName=n;SharedAccessKey=k=',
  BLOB_CONNECTION: 'UseDevelopmentStorage=true',
  REDIS_URL: '',
  API_KEY_PEPPER: 'p'.repeat(32),
  KEY_ENCRYPTION_KEYS: JSON.stringify({ '1': Buffer.alloc(32, 1).toString('base64') }),
};
const BROKEN = {
  // A valid URL with an escape that no driver can decode.
  CORE_DATABASE_URL: database('comply_app', `%ss${SECRET}`),
  REDIS_URL: `rediss://:%ss${SECRET}@127.0.0.1:1`,
};

const { dir } = await askForPart('app');
const logLines: string[] = [];
const host = await startFunctionsHost({
  appDir: dir,
  port: 0,
  settings: { ...RIGHT, ...BROKEN },
  stateDir: `${dir}/state-broken-settings`,
  disable: { kinds: ['timer', 'serviceBus'] },
  log: ({ message }) => void logLines.push(message),
});
afterAll(() => host.stop());

it('a broken connection string is answered by the setting’s name, and logged without its value or a stack', async () => {
  const logged: string[] = [];
  for (const level of ['info', 'warn', 'error'] as const)
    vi.spyOn(console, level).mockImplementation((...parts) => void logged.push(parts.map(String).join(' ')));
  const response = await fetch(`http://127.0.0.1:${host.port}/api/v1/mappings`, {
    headers: { authorization: 'Bearer cai_local_abc_def' },
  });
  const body = (await response.json()) as { code: string; detail: string };
  expect([response.status, body.code]).toEqual([500, 'INTERNAL_ERROR']);
  for (const setting of Object.keys(BROKEN)) expect(body.detail).toContain(setting);
  const said = [...logLines, ...logged].join('\n');
  expect(said).toContain('CORE_DATABASE_URL: is not a URL');
  for (const text of [JSON.stringify(body), said]) {
    expect(text).not.toContain(SECRET);
    expect(text).not.toMatch(/\bat .*:\d+:\d+/);
  }
});
