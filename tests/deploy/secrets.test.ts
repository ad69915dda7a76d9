import { expect, onTestFinished, test } from 'vitest';
import { readSettings } from '../../shared/platform/config/settings.ts';
import type { Deployment } from '../../tools/deploy/environment.ts';
import { makeSecrets, provideCertificate } from '../../tools/deploy/secrets.ts';
import { Vault } from '../../tools/deploy/vault.ts';
import { startAzureStandIn, type AzureStandIn } from './azure-stand-in.ts';

async function start(): Promise<{ vault: Vault; standIn: AzureStandIn }> {
  const standIn = await startAzureStandIn();
  onTestFinished(() => standIn.close());
  return { standIn, vault: new Vault(standIn.url, (scope) => Promise.resolve(`token-of-${scope}`), 1) };
}

const valueOf = (standIn: AzureStandIn, name: string): string =>
  String(standIn.state.get(`/secrets/${name}`)?.['value']);

const dev = {
  DEPLOYMENT_ENVIRONMENT: 'dev',
  API_HOST: 'comply.example.com',
  GATEWAY_VAULT: 'kvg',
} as Deployment;

test('the generated secrets are a key and a pepper that the app accepts', async () => {
  const { vault, standIn } = await start();
  expect(await makeSecrets(vault)).toEqual(['key-encryption-key', 'api-key-pepper']);
  expect(Buffer.from(valueOf(standIn, 'key-encryption-key'), 'base64')).toHaveLength(32);
  const url = 'postgres://a:b@127.0.0.1/c';
  const settings = readSettings({
    DEPLOYMENT_ENVIRONMENT: 'dev',
    CORE_DATABASE_URL: url,
    BILLING_DATABASE_URL: url,
    ANALYTICS_DATABASE_URL: url,
    CORE_CROSS_TENANT_DATABASE_URL: url,
    BILLING_CROSS_TENANT_DATABASE_URL: url,
    ANALYTICS_CROSS_TENANT_DATABASE_URL: url,
    SERVICE_BUS_CONNECTION__fullyQualifiedNamespace: 'bus.example.com',
    BLOB_CONNECTION__blobServiceUri: 'https://evidence.example.com',
    KEY_ENCRYPTION_KEYS: JSON.stringify({ '1': valueOf(standIn, 'key-encryption-key') }),
    API_KEY_PEPPER: valueOf(standIn, 'api-key-pepper'),
  });
  expect(settings.API_KEY_PEPPER.length).toBeGreaterThanOrEqual(32);
});

test('a second deployment changes no secret, and a first that was killed is completed', async () => {
  const { vault, standIn } = await start();
  standIn.state.set('/secrets/key-encryption-key', { value: 'mine' });
  expect(await makeSecrets(vault)).toEqual(['api-key-pepper']);
  const pepper = valueOf(standIn, 'api-key-pepper');
  expect(await makeSecrets(vault)).toEqual([]);
  expect([valueOf(standIn, 'key-encryption-key'), valueOf(standIn, 'api-key-pepper')]).toEqual([
    'mine',
    pepper,
  ]);
});

test('a vault that does not know a new role yet is asked again', async () => {
  const { vault, standIn } = await start();
  standIn.faults.set('/secrets/key-encryption-key', { status: 403, times: 3 });
  expect(await makeSecrets(vault)).toHaveLength(2);
});

test('another refusal is told at once, without a value', async () => {
  const { vault, standIn } = await start();
  standIn.faults.set('/secrets/key-encryption-key', { status: 409, times: 1 });
  await expect(makeSecrets(vault)).rejects.toThrow(/^GET secrets\/key-encryption-key: 409 Refused/);
});

test('dev gets a certificate that it signed itself, for the API’s name, whose key never leaves the vault', async () => {
  const { vault, standIn } = await start();
  expect(await provideCertificate(vault, dev)).toBe('gateway');
  const made = standIn.state.get('/certificates/gateway');
  expect(made).toMatchObject({
    policy: {
      issuer: { name: 'Self' },
      x509_props: { sans: { dns_names: ['comply.example.com'] } },
      lifetime_actions: [{ action: { action_type: 'AutoRenew' } }],
    },
  });
  expect(await vault.readCertificate('gateway')).toMatch(/^-----BEGIN CERTIFICATE-----\n/);
  await provideCertificate(vault, dev);
  expect(standIn.changes.filter((one) => one.endsWith('/create'))).toHaveLength(1);
});

test('prod waits for a certificate of an authority, and says how to bring it', async () => {
  const { vault, standIn } = await start();
  const prod = { ...dev, DEPLOYMENT_ENVIRONMENT: 'prod' } as Deployment;
  await expect(provideCertificate(vault, prod)).rejects.toThrow(
    /certificate for comply\.example\.com[^]*az keyvault certificate import --vault-name kvg/,
  );
  standIn.state.set('/certificates/gateway', { cer: 'AAAA' });
  expect(await provideCertificate(vault, prod)).toBe('gateway');
  expect(standIn.changes).toEqual([]);
});
