import { beforeEach, expect, test, vi } from 'vitest';
import { readSettings, type Settings } from '../config/settings.ts';
import { openKeyEncryptionKeys } from './key-encryption-keys.ts';

// Key Vault has no local stand-in, so its client is replaced here, and nowhere else.

interface Secret {
  readonly value?: string;
  readonly properties: { readonly version?: string };
}
type GetSecret = (name: string, options?: { readonly version?: string }) => Promise<Secret>;

const { opened, getSecret } = vi.hoisted(() => ({
  opened: new Array<string>(),
  getSecret: vi.fn<GetSecret>(),
}));
vi.mock('@azure/identity', () => ({ DefaultAzureCredential: vi.fn() }));
vi.mock('@azure/keyvault-secrets', () => ({
  SecretClient: class {
    getSecret = getSecret;
    constructor(url: string) {
      opened.push(url);
    }
  },
}));

const VAULT = 'https://keys.vault.azure.net';
const KEYS: Readonly<Record<string, Buffer>> = { old: Buffer.alloc(32, 1), new: Buffer.alloc(32, 2) };

/** Only the settings of the key-encryption key matter here. */
const settingsWith = (settings: Partial<Settings>): Settings =>
  ({ KEY_ENCRYPTION_SECRET_NAME: 'kek', ...settings }) as Settings;
const openVault = () => openKeyEncryptionKeys(settingsWith({ KEY_VAULT_URL: VAULT }));

beforeEach(() => {
  opened.length = 0;
  getSecret.mockImplementation((_name, { version = 'new' } = {}) =>
    Promise.resolve({ value: KEYS[version]?.toString('base64') ?? '', properties: { version } }),
  );
});

test('a data key is unwrapped with the vault’s version that wrapped it, and a new one is wrapped with the newest', async () => {
  const keys = openVault();
  expect(await keys.version('old')).toEqual(KEYS['old']);
  expect(await keys.current()).toEqual({ version: 'new', key: KEYS['new'] });
  expect(getSecret.mock.calls).toEqual([
    ['kek', { version: 'old' }],
    ['kek', {}],
  ]);
  expect(opened).toEqual([VAULT, VAULT]);
});

const encoded = (bytes: number): string => Buffer.alloc(bytes).toString('base64');

test.each<[string, Secret]>([
  ['of 31 bytes', { value: encoded(31), properties: { version: 'v' } }],
  ['of 33 bytes', { value: encoded(33), properties: { version: 'v' } }],
  ['without a value', { properties: { version: 'v' } }],
  ['without a version', { value: encoded(32), properties: {} }],
])('a secret %s is no key', async (_, secret) => {
  getSecret.mockResolvedValue(secret);
  const keys = openVault();
  await expect(keys.current()).rejects.toThrow('the secret kek is not 32 bytes of base64');
  await expect(keys.version('v')).rejects.toThrow('the secret kek is not 32 bytes of base64');
});

test('without a vault the keys are those of the setting, and the vault’s client is not opened', async () => {
  const { KEY_ENCRYPTION_KEYS: given } = readSettings({
    DEPLOYMENT_ENVIRONMENT: 'local',
    ...Object.fromEntries(
      ['CORE', 'BILLING', 'ANALYTICS'].flatMap((name) => [
        [`${name}_DATABASE_URL`, 'postgres://a:b@127.0.0.1/c'],
        [`${name}_CROSS_TENANT_DATABASE_URL`, 'postgres://a:b@127.0.0.1/c'],
      ]),
    ),
    SERVICE_BUS_CONNECTION: 'Endpoint=sb://127.0.0.1/;SharedAccessKeyName=a;SharedAccessKey=b',
    BLOB_CONNECTION: 'UseDevelopmentStorage=true',
    API_KEY_PEPPER: 'x'.repeat(32),
    KEY_ENCRYPTION_KEYS: JSON.stringify({ '7': KEYS['old']?.toString('base64') }),
  });
  const keys = openKeyEncryptionKeys(settingsWith({ KEY_ENCRYPTION_KEYS: given }));
  const { version, key } = await keys.current();
  expect([version, Buffer.from(key)]).toEqual(['7', KEYS['old']]);
  expect(Buffer.from(await keys.version('7'))).toEqual(KEYS['old']);
  expect(() => keys.version('8')).toThrow('no version 8 of the key-encryption key');
  expect(opened).toEqual([]);
  expect(() => openKeyEncryptionKeys(settingsWith({}))).toThrow('no key-encryption key is configured');
});
