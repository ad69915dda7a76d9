import { describe, expect, test } from 'vitest';
import type { Finding } from '../check.ts';
import { readGiven } from '../given-settings.ts';
import { Patient } from '../patient.ts';
import { misspeltSettings } from './misspelt-settings.ts';
import { nodeVersion } from './node-version.ts';
import { riskySettings } from './risky-settings.ts';
import { validSettings } from './valid-settings.ts';

const database = (role: string, name: string): string =>
  `postgres://${role}@${name}.postgres.database.azure.com/${name}?sslmode=verify-full`;

/** Settings of a deployment without a fault. */
const PROD: Readonly<Record<string, string>> = {
  DEPLOYMENT_ENVIRONMENT: 'prod',
  CORE_DATABASE_URL: database('comply_app', 'core'),
  BILLING_DATABASE_URL: database('comply_app', 'billing'),
  ANALYTICS_DATABASE_URL: database('comply_app', 'analytics'),
  CORE_CROSS_TENANT_DATABASE_URL: database('comply_jobs', 'core'),
  BILLING_CROSS_TENANT_DATABASE_URL: database('comply_jobs', 'billing'),
  ANALYTICS_CROSS_TENANT_DATABASE_URL: database('comply_jobs', 'analytics'),
  DATABASE_AUTH: 'entra',
  API_PUBLIC_URL: 'https://api.example.com',
  SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: 'bus.servicebus.windows.net',
  BLOB_CONNECTION__blobServiceUri: 'https://evidence.blob.core.windows.net',
  REDIS_URL: 'rediss://:password@cache.example.com:10000',
  API_KEY_PEPPER: 'p'.repeat(32),
  KEY_VAULT_URL: 'https://vault.vault.azure.net',
  STRIPE_SECRET_KEY: 'sk_live_0123456789',
  STRIPE_WEBHOOK_SECRETS: 'whsec_0123456789',
  BILLING_RETURN_ORIGINS: 'https://app.example.com',
};

type Changes = Readonly<Record<string, string | undefined>>;

const patientWith = (changes: Changes): Patient => new Patient({ given: readGiven({ ...PROD, ...changes }) });

async function risksOf(changes: Changes): Promise<readonly Finding[]> {
  const found = await riskySettings.run(patientWith(changes));
  return 'result' in found ? [found] : found;
}

test('a deployment without a fault', async () => {
  const patient = patientWith({});
  expect(await validSettings.run(patient)).toEqual([{ result: 'ok', detail: '17 settings are valid' }]);
  expect(await riskySettings.run(patient)).toEqual([
    { result: 'ok', detail: 'nothing that is not safe in prod' },
  ]);
  expect(await misspeltSettings.run(patient)).toEqual([{ result: 'ok', detail: 'none' }]);
});

const KEYS = JSON.stringify({ '1': Buffer.alloc(32, 1).toString('base64') });
const url = (name: string): string => PROD[name] ?? '';

describe('settings that are not safe, each with its remedy', () => {
  test.each<[string, Changes, 'warning' | 'problem', RegExp, RegExp]>([
    [
      'a password that is not used',
      { BILLING_DATABASE_URL: url('BILLING_DATABASE_URL').replace('comply_app', 'comply_app:secret') },
      'warning',
      /^BILLING_DATABASE_URL has a password/,
      /^remove it/,
    ],
    [
      'one database for two',
      {
        BILLING_DATABASE_URL: url('CORE_DATABASE_URL'),
        BILLING_CROSS_TENANT_DATABASE_URL: url('CORE_CROSS_TENANT_DATABASE_URL'),
      },
      'problem',
      /^BILLING_DATABASE_URL leads to the same database as CORE_DATABASE_URL/,
      /^correct the database/,
    ],
    [
      'one role for both',
      { CORE_CROSS_TENANT_DATABASE_URL: url('CORE_DATABASE_URL') },
      'problem',
      /have the same user$/,
      /comply_jobs/,
    ],
    [
      'prepared statements and PgBouncer',
      {
        CORE_DATABASE_URL: url('CORE_DATABASE_URL').replace('.com/', '.com:6432/'),
        CORE_CROSS_TENANT_DATABASE_URL: url('CORE_CROSS_TENANT_DATABASE_URL').replace('.com/', '.com:6432/'),
      },
      'warning',
      /port 6432/,
      /DATABASE_PREPARE=false/,
    ],
    [
      'a test key in prod',
      { STRIPE_SECRET_KEY: 'rk_test_0123456789' },
      'problem',
      /test mode, in prod/,
      /live key/,
    ],
    [
      'a live key elsewhere',
      { DEPLOYMENT_ENVIRONMENT: 'stage' },
      'problem',
      /is a live key, in stage/,
      /sk_test_/,
    ],
    [
      'no webhook secret',
      { STRIPE_WEBHOOK_SECRETS: undefined },
      'problem',
      /^STRIPE_WEBHOOK_SECRETS is not set/,
      /signing secret/,
    ],
    [
      'no Stripe',
      { STRIPE_SECRET_KEY: undefined },
      'warning',
      /^STRIPE_SECRET_KEY is not set/,
      /docs\/billing\.md/,
    ],
    [
      'no return address',
      { BILLING_RETURN_ORIGINS: undefined },
      'warning',
      /^BILLING_RETURN_ORIGINS/,
      /origins/,
    ],
    [
      'a stand-in for Stripe',
      { STRIPE_API_URL: 'https://stripe.example.com' },
      'problem',
      /^STRIPE_API_URL/,
      /^remove STRIPE_API_URL$/,
    ],
    [
      'keys in the settings',
      { KEY_VAULT_URL: undefined, KEY_ENCRYPTION_KEYS: KEYS },
      'problem',
      /^KEY_ENCRYPTION_KEYS has the key/,
      /Key Vault/,
    ],
    ['no public address', { API_PUBLIC_URL: undefined }, 'warning', /^API_PUBLIC_URL/, /set API_PUBLIC_URL/],
    ['no Redis', { REDIS_URL: undefined }, 'warning', /^REDIS_URL is not set/, /rediss:/],
    [
      'a shared key of the bus',
      {
        SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: undefined,
        SERVICE_BUS_CONNECTION: 'Endpoint=sb://bus.example.com;SharedAccessKeyName=n;SharedAccessKey=k=',
      },
      'warning',
      /^SERVICE_BUS_CONNECTION has a shared key/,
      /managed identity/,
    ],
    [
      'a shared key of the storage',
      { BLOB_CONNECTION__blobServiceUri: undefined, BLOB_CONNECTION: 'AccountName=a;AccountKey=k==' },
      'warning',
      /^BLOB_CONNECTION has an account key/,
      /managed identity/,
    ],
  ])('%s', async (_, changes, result, detail, remedy) => {
    const findings = await risksOf(changes);
    const databases = 'CORE_DATABASE_URL' in changes && 'CORE_CROSS_TENANT_DATABASE_URL' in changes ? 2 : 1;
    expect(findings).toHaveLength(databases);
    expect(findings[0]).toEqual({
      result,
      detail: expect.stringMatching(detail),
      do: expect.stringMatching(remedy),
    });
  });

  test('a local environment with servers elsewhere', async () => {
    const findings = await risksOf({
      DEPLOYMENT_ENVIRONMENT: 'local',
      STRIPE_SECRET_KEY: undefined,
      STRIPE_WEBHOOK_SECRETS: undefined,
    });
    expect(findings).toHaveLength(6);
    expect(findings[0]?.detail).toMatch(/^DEPLOYMENT_ENVIRONMENT is local, and CORE_DATABASE_URL leads/);
  });
});

test.each([
  ['STRIPE_WEBHOOK_SECRET', 'STRIPE_WEBHOOK_SECRETS'],
  ['redis_url', 'REDIS_URL'],
  ['KEYVAULT_URL', 'KEY_VAULT_URL'],
  ['WEBSITE_HOSTNAME', undefined],
  ['AzureWebJobsStorage', undefined],
  ['FUNCTIONS_EXTENSION_VERSION', undefined],
])('%s is taken for %s', async (name, meant) => {
  const found = await misspeltSettings.run(patientWith({ [name]: 'some value' }));
  expect(found).toEqual([
    meant === undefined
      ? { result: 'ok', detail: 'none' }
      : expect.objectContaining({ result: 'warning', do: `rename it to ${meant}, or remove it` }),
  ]);
});

test('a Node without security updates', async () => {
  const clock = { now: () => new Date('2027-05-01') };
  const found = await nodeVersion.run(new Patient({ given: readGiven({}), clock }));
  expect(found).toMatchObject({ result: process.versions.node.startsWith('22.') ? 'warning' : 'ok' });
});
