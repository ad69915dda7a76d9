import { ClientSecretCredential } from '@azure/identity';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startVault, type VaultStandIn } from '../../../dev/vault/start-vault.ts';
import { makeAuthority } from '../../../tests/harness/certificates.ts';
import '../../../tests/harness/remote-names.ts';
import { readSettings, type Settings } from '../config/settings.ts';
import { openKeyEncryptionKeys, type KeyEncryptionKeys } from './key-encryption-keys.ts';
import { KeyUnavailable } from './key-unavailable.ts';

// The real SDKs over HTTPS, against a vault on this machine. Each test has a secret of its own.

const HOST = 'keys.vault.remote.test';
const LOGIN = 'login.remote.test';
const authority = makeAuthority('the vault’s authority');
const OLD = Buffer.alloc(32, 1);
const NEW = Buffer.alloc(32, 2);
const text = (key: Buffer): string => key.toString('base64');

let vault: VaultStandIn;
let name = '';
let made = 0;

beforeAll(async () => {
  const { certificate, key } = authority.certify({ name: 'vault', hosts: [HOST, LOGIN] });
  vault = await startVault({ certificate, key, host: HOST, loginHost: LOGIN });
});
afterAll(() => vault.close());
beforeEach(() => {
  name = `kek-${(made += 1)}`;
  vault.faults.length = 0;
  vault.requests.length = 0;
});

/** Only the settings of the key-encryption key matter here. */
const settingsWith = (settings: Partial<Settings>): Settings =>
  ({ KEY_ENCRYPTION_SECRET_NAME: name, EXTRA_CA_CERTS: [authority.certificate], ...settings }) as Settings;

/** Entra's real credential of an application, at the stand-in. */
function credential(secret = vault.client.secret): ClientSecretCredential {
  const { tenantId, clientId } = vault.client;
  return new ClientSecretCredential(tenantId, clientId, secret, {
    authorityHost: vault.authorityHost,
    disableInstanceDiscovery: true,
    tlsOptions: { ca: authority.certificate },
  });
}

const openVault = (settings: Partial<Settings> = {}): KeyEncryptionKeys =>
  openKeyEncryptionKeys(settingsWith({ KEY_VAULT_URL: vault.url, ...settings }), () =>
    Promise.resolve(credential()),
  );

const add = (key: Buffer): string => String(vault.secrets.set(name, text(key))?.version);
const reads = (): readonly string[] =>
  vault.requests.filter(({ status }) => status === 200).map(({ path }) => path);
const plain = async (key: Promise<Uint8Array>): Promise<Buffer> => Buffer.from(await key);

async function failureOf(asked: Promise<unknown>): Promise<KeyUnavailable> {
  const error = await asked.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(KeyUnavailable);
  return error as KeyUnavailable;
}

describe('a version', () => {
  test('a data key is unwrapped with the vault’s version that wrapped it, and a new one is wrapped with the newest', async () => {
    const [old, young] = [add(OLD), add(NEW)];
    const keys = openVault();
    expect(await plain(keys.version(old))).toEqual(OLD);
    expect(await keys.current()).toEqual({ version: young, key: NEW });
    expect(await plain(keys.version(young))).toEqual(NEW);
    expect(reads()).toEqual([`/secrets/${name}/${old}`, `/secrets/${name}/`]);
  });

  test('the first request has no token: the vault’s challenge says where one is given', async () => {
    add(OLD);
    await openVault().current();
    expect(vault.requests.map(({ status }) => status)).toEqual([401, 200]);
  });

  test('all are listed with their state, also on several pages and when they are disabled', async () => {
    const added = Array.from({ length: 30 }, () => add(OLD));
    vault.secrets.change(name, String(added[3]), { enabled: false });
    const listed = await openVault().list();
    expect(listed.map(({ version }) => version)).toEqual(added);
    expect(listed.filter(({ enabled }) => !enabled).map(({ version }) => version)).toEqual([added[3]]);
    expect(listed[0]?.createdAt).toBeInstanceOf(Date);
    expect(JSON.stringify(listed)).not.toContain(text(OLD));
  });

  test.each<[string, string]>([
    ['of 31 bytes', Buffer.alloc(31).toString('base64')],
    ['of 33 bytes', Buffer.alloc(33).toString('base64')],
    ['without a value', ''],
  ])('a secret %s is no key', async (_, value) => {
    const version = String(vault.secrets.set(name, value)?.version);
    const keys = openVault();
    for (const asked of [keys.current(), keys.version(version)])
      expect((await failureOf(asked)).message).toMatch(
        new RegExp(
          `^Cannot read version ${version} of the secret ${name} in the vault ${HOST}:\\d+: it is not 32 bytes`,
        ),
      );
  });
});

describe('a new process says what is missing, and where', () => {
  const where = (which: string, why: string): RegExp =>
    new RegExp(`^Cannot read ${which} of the secret ${name} in the vault ${HOST}:\\d+: ${why}`);

  test('a disabled version', async () => {
    const old = add(OLD);
    add(NEW);
    vault.secrets.change(name, old, { enabled: false });
    const keys = openVault();
    const failure = await failureOf(keys.version(old));
    expect([failure.fault, failure.version, failure.code]).toEqual(['disabled', old, 'KEY_DISABLED']);
    expect(failure.message).toMatch(where(`version ${old}`, 'it is disabled'));
    expect(failure.shortly).not.toContain(HOST);
    vault.secrets.change(name, old, { enabled: true });
    expect(await plain(keys.version(old))).toEqual(OLD);
  });

  test('a newest version that is disabled, or not yet valid', async () => {
    add(OLD);
    const young = add(NEW);
    vault.secrets.change(name, young, { enabled: false });
    expect((await failureOf(openVault().current())).message).toMatch(
      where('the newest version', 'it is disabled'),
    );
    vault.secrets.change(name, young, { enabled: true, nbf: vault.secrets.seconds + 1_000 });
    expect((await failureOf(openVault().current())).fault).toBe('disabled');
  });

  test('a deleted secret, until it is recovered', async () => {
    add(OLD);
    vault.secrets.remove(name);
    const keys = openVault();
    for (const asked of [keys.current(), keys.list()])
      expect((await failureOf(asked)).message).toMatch(
        where('the newest version', 'it is deleted, and can be'),
      );
    vault.secrets.recover(name);
    expect((await keys.current()).key).toEqual(OLD);
  });

  test('a secret or a version that does not exist', async () => {
    expect((await failureOf(openVault().current())).message).toMatch(
      where('the newest version', 'it does not exist'),
    );
    add(OLD);
    const none = 'f'.repeat(32);
    expect((await failureOf(openVault().version(none))).message).toMatch(
      where(`version ${none}`, 'it does not exist'),
    );
  });

  test('a right that is missing', async () => {
    add(OLD);
    const error = {
      code: 'Forbidden',
      message: 'Caller is not authorized.',
      innererror: { code: 'ForbiddenByRbac' },
    };
    const keys = openVault();
    vault.faults.push({ answer: { status: 403, body: { error } } });
    expect((await failureOf(keys.current())).fault).toBe('forbidden');
  });

  test('an identity without a token', async () => {
    add(OLD);
    const keys = openKeyEncryptionKeys(settingsWith({ KEY_VAULT_URL: vault.url }), () =>
      Promise.resolve(credential('a wrong secret')),
    );
    expect((await failureOf(keys.current())).message).toMatch(
      where('the newest version', 'the app’s identity gets no'),
    );
  });

  test('a vault whose certificate nobody knows', async () => {
    add(OLD);
    const keys = openVault({ EXTRA_CA_CERTS: [makeAuthority('another').certificate] });
    const timers = vi
      .spyOn(globalThis, 'setTimeout')
      .mockImplementation(((run: () => void) => setImmediate(run)) as never);
    expect((await failureOf(keys.current())).fault).toBe('unreachable');
    timers.mockRestore();
    expect(vault.requests).toEqual([]);
  });
});

describe('the vault is away', () => {
  let now = 0;
  beforeEach(() => void vi.spyOn(performance, 'now').mockImplementation(() => now));
  const refused = { status: 400, body: { error: { code: 'BadParameter', message: 'no' } } };

  test('throttled, it is asked again after the time that it says, by the SDK’s policy', async () => {
    vi.restoreAllMocks();
    add(OLD);
    vault.faults.push({ answer: vault.throttled(0), times: 2 });
    expect((await openVault().current()).key).toEqual(OLD);
    expect(vault.requests.map(({ status }) => status)).toEqual([429, 429, 401, 200]);
    vault.faults.push({ answer: vault.throttled(0) });
    expect((await failureOf(openVault().current())).fault).toBe('throttled');
  });

  test('a connection that ends is tried again', async () => {
    vi.restoreAllMocks();
    add(OLD);
    const keys = openVault();
    await keys.list();
    vault.faults.push({ answer: 'drop', times: 1 });
    expect((await keys.current()).key).toEqual(OLD);
  });

  test('a running process goes on with the last known version after its time, and tells it', async () => {
    const old = add(OLD);
    const keys = openVault();
    expect((await keys.current()).version).toBe(old);
    await keys.probe();
    const young = add(NEW);
    vault.faults.push({ answer: refused });
    now += 11 * 60_000;
    expect(await keys.current()).toEqual({ version: old, key: OLD });
    expect(await plain(keys.version(old))).toEqual(OLD);
    expect((await failureOf(keys.probe())).fault).toBe('unreachable');
    expect((await failureOf(keys.newest())).fault).toBe('unreachable');
    // Not asked again with each request.
    const asked = vault.requests.length;
    await Promise.all([keys.current(), keys.current(), keys.probe().catch(() => undefined)]);
    expect(vault.requests).toHaveLength(asked);
    vault.faults.length = 0;
    now += 31_000;
    expect((await keys.current()).version).toBe(young);
    await keys.probe();
    vi.restoreAllMocks();
  });

  test('a token that has ended is replaced', async () => {
    vi.restoreAllMocks();
    const old = add(OLD);
    const keys = openVault();
    await keys.current();
    vault.tokens.revokeAll();
    // The SDK keeps a token until its end, so a new client shows that a challenge is answered again.
    expect(await plain(openVault().version(old))).toEqual(OLD);
  });
});

test('the identity of a Function App reads it, through the same path as on Azure', async () => {
  add(OLD);
  for (const [variable, value] of Object.entries(vault.identity)) vi.stubEnv(variable, value);
  const keys = openKeyEncryptionKeys(settingsWith({ KEY_VAULT_URL: vault.url }));
  expect((await keys.current()).key).toEqual(OLD);
  vi.unstubAllEnvs();
});

test('without a vault the keys are those of the setting, and the vault’s client is not opened', async () => {
  const { KEY_ENCRYPTION_KEYS: given } = readSettings({
    DEPLOYMENT_ENVIRONMENT: 'local',
    ...Object.fromEntries(
      ['CORE', 'BILLING', 'ANALYTICS'].flatMap((database) => [
        [`${database}_DATABASE_URL`, 'postgres://a:b@127.0.0.1/c'],
        [`${database}_CROSS_TENANT_DATABASE_URL`, 'postgres://a:b@127.0.0.1/c'],
      ]),
    ),
    SERVICE_BUS_CONNECTION: 'Endpoint=sb://127.0.0.1/;SharedAccessKeyName=a;SharedAccessKey=b',
    BLOB_CONNECTION: 'UseDevelopmentStorage=true',
    API_KEY_PEPPER: 'x'.repeat(32),
    KEY_ENCRYPTION_KEYS: JSON.stringify({ '7': text(OLD) }),
  });
  const keys = openKeyEncryptionKeys(settingsWith({ KEY_ENCRYPTION_KEYS: given }));
  const { version, key } = await keys.current();
  expect([version, Buffer.from(key)]).toEqual(['7', OLD]);
  expect(Buffer.from(await keys.version('7'))).toEqual(OLD);
  expect(() => keys.version('8')).toThrow('no version 8 of the key-encryption key');
  expect(vault.requests).toEqual([]);
  expect(() => openKeyEncryptionKeys(settingsWith({}))).toThrow('no key-encryption key is configured');
});
