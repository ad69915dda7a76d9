import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { openServices, type Services } from '../../functions/services.ts';
import { readKeys } from '../../shared/domains/keys/read-keys.ts';
import { checkReadiness } from '../../shared/domains/operations/health.ts';
import { generateApiKey, hashApiKey, pepperId } from '../../shared/platform/auth/api-key.ts';
import { PERMISSION_SETS } from '../../shared/platform/auth/permissions.ts';
import type { Settings } from '../../shared/platform/config/settings.ts';
import { binding, open } from '../../shared/platform/crypto/sealing.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { until, type TestAnswer } from '../harness/app.ts';
import { newKeyText, SECRET, startVaultApp, VAULT_HOST } from './vault-app.ts';

// Keys and their rotation over the API, with the real SDKs and a vault on this machine.

const { app, vault, first } = await startVaultApp({ silent: ['timer'] });
const { acme, globex, operator } = app.keys;
const MAPPING = {
  detector: 'regex-pii',
  model_version: 'v1',
  response: {
    taxonomy: ['PII.Identifier.SSN'],
    scores: { 'PII.Identifier.SSN': 0.9 },
    confidence: 0.9,
    processing_time_ms: 10,
    model_used: 'mapper-8b',
  },
};

afterEach(() => void (vault.faults.length = 0));

function openWith(settings: Partial<Settings> = {}): Services {
  const services = openServices({ ...app.settings, ...settings });
  onTestFinished(() => services.close());
  return services;
}

const post = (key: string, path: string, body?: unknown): Promise<TestAnswer> =>
  app.request('POST', `/api/v1/${path}`, { key, body });
const get = (key: string, path: string): Promise<TestAnswer> =>
  app.request('GET', `/api/v1/${path}`, { key });
const map = (key: string, source: string): Promise<TestAnswer> =>
  post(key, 'mappings', { ...MAPPING, source_data: source });
const sourceOf = (key: string, made: TestAnswer): Promise<TestAnswer> =>
  get(key, `records/${made.body.record_id}/source`);
const rewrap = (): Promise<TestAnswer> => post(operator, 'platform/jobs/data-keys-rewrap/runs', {});

async function readPlatformKeys(): Promise<TestAnswer['body']> {
  const answer = await get(operator, 'platform/keys');
  expect(answer.status).toBe(200);
  return answer.body;
}

const versionsOf = (body: TestAnswer['body']): Map<string, TestAnswer['body']> =>
  new Map(body.key_encryption.versions.map((one: { version: string }) => [one.version, one]));

// The app's own process is a new instance until its first request that needs a key. So this is first.
describe('the vault is away', () => {
  const refused = { status: 400, body: { error: { code: 'BadParameter', message: 'no' } } };

  it('a new instance says which secret of which vault is missing, and is ready once it is back', async () => {
    vault.faults.push({ answer: refused });
    const answer = await map(acme.writer, 'not sealed');
    expect([answer.status, answer.body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
    expect(answer.body.detail).toMatch(
      new RegExp(
        `^Cannot read version ${first} of the secret ${SECRET} in the vault ${VAULT_HOST}:\\d+: the vault does not`,
      ),
    );
    const ready = await app.request('GET', '/api/health/ready');
    expect(ready.body.status).toBe('degraded');
    expect(ready.body.dependencies).toContainEqual({
      name: 'key_vault',
      status: 'unhealthy',
      latency_ms: null,
      detail: `the newest version of the secret ${SECRET}: the vault does not answer`,
    });
    expect(JSON.stringify(ready.body)).not.toContain(VAULT_HOST);
    expect((await readPlatformKeys()).key_encryption).toMatchObject({
      vault: new URL(vault.url).host,
      secret: SECRET,
      problem: expect.stringContaining('the vault does not answer'),
      newest_version: null,
      data_keys_to_rewrap: null,
      versions: [{ version: first, state: 'unknown', data_keys: 2, may_be_disabled: false }],
    });
    vault.faults.length = 0;
    expect((await map(acme.writer, 'sealed')).status).toBe(201);
    await until(
      () => app.request('GET', '/api/health/ready'),
      ({ body }) => body.status === 'healthy',
    );
  });

  it('a running instance goes on: it opens, seals, and makes data keys', async () => {
    const made = await map(acme.owner, 'before');
    vault.faults.push({ answer: refused });
    const asked = vault.requests.length;
    expect((await map(acme.owner, 'meanwhile')).status).toBe(201);
    expect((await sourceOf(acme.owner, made)).body.source_data).toBe('before');
    expect((await post(acme.owner, 'data-keys/rotate')).status).toBe(201);
    expect(vault.requests).toHaveLength(asked);
  });

  it('a deleted secret is named, and opens everything again when it is recovered', async () => {
    const made = await map(acme.owner, 'kept');
    vault.secrets.remove(SECRET);
    const services = openWith();
    const failure = await services.dataKeys.wrapping.current().catch(String);
    expect(failure).toContain(
      `${SECRET} in the vault ${new URL(vault.url).host}: it is deleted, and can be recovered`,
    );
    const { dependencies } = await checkReadiness(openWith());
    expect(dependencies.at(-1)?.detail).toContain('it is deleted');
    expect((await readPlatformKeys()).key_encryption.problem).toContain('it is deleted');
    vault.secrets.recover(SECRET);
    expect((await services.dataKeys.wrapping.current()).version).toBe(first);
    expect((await sourceOf(acme.owner, made)).status).toBe(200);
  });
});

describe('a rotation of the key-encryption key', () => {
  it('goes from a new version to a disabled old one, and sources stay readable', async () => {
    const made = await map(acme.owner, 'sealed before the rotation');
    const second = String(vault.secrets.set(SECRET, newKeyText())?.version);
    const before = await readPlatformKeys();
    const living = before.data_keys.living;
    expect(before.key_encryption).toMatchObject({
      problem: null,
      newest_version: second,
      data_keys_to_rewrap: living,
    });
    expect(versionsOf(before).get(first)).toMatchObject({
      state: 'enabled',
      is_newest: false,
      data_keys: living,
      may_be_disabled: false,
      last_used_at: expect.any(String),
    });
    const run = await rewrap();
    expect(run.body).toMatchObject({ status: 'completed', details: { rewrapped: living } });
    const after = await readPlatformKeys();
    expect(after.key_encryption.data_keys_to_rewrap).toBe(0);
    expect(versionsOf(after).get(first)).toMatchObject({ data_keys: 0, may_be_disabled: true });
    expect(versionsOf(after).get(second)).toMatchObject({
      is_newest: true,
      data_keys: living,
      may_be_disabled: false,
      age_days: 0,
    });
    vault.secrets.change(SECRET, first, { enabled: false });
    expect(versionsOf(await readPlatformKeys()).get(first)).toMatchObject({
      state: 'disabled',
      may_be_disabled: false,
    });
    // A new instance needs the new version only.
    const [row] = await app.admin.core`select source_data, source_id, encryption_key_id from storage_records
      where id = ${made.body.record_id}`;
    const { key } = await openWith().dataKeys.find('acme', row?.['encryption_key_id']);
    expect(open(key, row?.['source_data'], binding('acme', row?.['source_id'])).toString()).toBe(
      'sealed before the rotation',
    );
    vault.secrets.change(SECRET, first, { enabled: true });
  });

  it('a version disabled too early is named with the number of its data keys, and works again when it is enabled', async () => {
    const [newest] = [vault.secrets.find(SECRET)?.version ?? ''];
    const third = String(vault.secrets.set(SECRET, newKeyText())?.version);
    const living = (await readPlatformKeys()).data_keys.living;
    vault.secrets.change(SECRET, newest, { enabled: false });
    // The app's process has the version in memory and wraps its data keys; another one cannot.
    const services = openWith();
    const [row] = await app.admin.core`select data_key_id from tenants where tenant_id = 'globex'`;
    await expect(services.dataKeys.find('globex', row?.['data_key_id'])).rejects.toThrow(
      new RegExp(`version ${newest} of the secret ${SECRET} in the vault .*: it is disabled`),
    );
    expect(versionsOf(await readPlatformKeys()).get(newest)).toMatchObject({
      state: 'disabled',
      data_keys: living,
    });
    vault.secrets.change(SECRET, newest, { enabled: true });
    await services.dataKeys.find('globex', row?.['data_key_id']);
    expect((await rewrap()).body.status).toBe('completed');
    expect(versionsOf(await readPlatformKeys()).get(third)).toMatchObject({ data_keys: living });
  });
});

describe('a tenant’s data key', () => {
  it('is rotated by its owner: new sources are sealed with the new key, old ones stay readable', async () => {
    const old = await map(acme.owner, 'the same text');
    const rotated = await post(acme.owner, 'data-keys/rotate');
    expect(rotated).toMatchObject({ status: 201, body: { state: 'current', destroyed_at: null } });
    const young = await map(acme.owner, 'the same text');
    const sources = [await sourceOf(acme.owner, old), await sourceOf(acme.owner, young)];
    expect(sources.map(({ body }) => body.source_data)).toEqual(['the same text', 'the same text']);
    expect(sources.map(({ body }) => body.encryption_key_id)).toEqual([
      rotated.body.replaces,
      rotated.body.key_id,
    ]);
    const { body } = await get(acme.reader, 'data-keys');
    expect(body.items[0]).toEqual({
      key_id: rotated.body.key_id,
      state: 'current',
      created_at: rotated.body.created_at,
      destroyed_at: null,
    });
    expect(body.items.slice(1).map(({ state }: { state: string }) => state)).toEqual(
      body.items.slice(1).map(() => 'retired'),
    );
    const page = await get(acme.reader, 'data-keys?limit=1');
    expect([page.body.items.length, page.headers.has('link')]).toEqual([1, true]);
  });

  it('rotates once for a repeated Idempotency-Key, and one after the other for two at once', async () => {
    const headers = { 'idempotency-key': `rotate-${newId()}` };
    const once = () => app.request('POST', '/api/v1/data-keys/rotate', { key: acme.owner, headers });
    const [one, again] = [await once(), await once()];
    expect(again.body).toEqual(one.body);
    const answers = await Promise.all([1, 2, 3].map(() => post(acme.owner, 'data-keys/rotate')));
    const replaced = answers.map(({ body }) => body.replaces);
    expect(new Set(replaced).size).toBe(3);
    const { body } = await get(acme.owner, 'data-keys');
    expect(body.items.filter(({ state }: { state: string }) => state === 'current')).toHaveLength(1);
  });

  it('is rotated by an operator, and both audit trails say so', async () => {
    const rotated = await post(operator, 'platform/tenants/globex/data-keys/rotate');
    expect(rotated.status).toBe(201);
    const listed = await get(operator, 'platform/tenants/globex/data-keys');
    expect(listed.body.items[0]).toMatchObject({ key_id: rotated.body.key_id, state: 'current' });
    expect((await get(globex.owner, 'data-keys')).body).toEqual(listed.body);
    const entries = await until(
      () => app.admin.core`select tenant_id from audit_logs where action = 'data_key.rotated'
        and resource_id = ${rotated.body.key_id} order by tenant_id`,
      (rows) => rows.length === 2,
    );
    expect(entries.map((row) => row['tenant_id'])).toEqual(['globex', 'platform']);
    expect((await post(operator, 'platform/tenants/none/data-keys/rotate')).status).toBe(404);
    expect((await post(operator, 'platform/tenants/platform/data-keys/rotate')).status).toBe(409);
  });

  it('that is destroyed is shown as destroyed, and counted', async () => {
    const { body: rotated } = await post(globex.owner, 'data-keys/rotate');
    await app.admin.core`update ops.data_keys set wrapped_key = null, destroyed_at = now()
      where key_id = ${rotated.replaces}`;
    const { body } = await get(globex.owner, 'data-keys');
    expect(body.items[1]).toMatchObject({ key_id: rotated.replaces, state: 'destroyed' });
    expect((await readPlatformKeys()).data_keys).toMatchObject({ destroyed: 1, oldest_age_days: 0 });
  });
});

describe('the pepper of API keys', () => {
  const other = randomBytes(32).toString('hex');
  const { API_KEY_PEPPER: current } = app.settings;
  const idOf = (credential: string): string => credential.split('_')[2] ?? '';

  /** A key whose hash is under a pepper. */
  async function keyUnder(pepper: string, columns: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const key = generateApiKey('local');
    await app.makeKey('acme', PERMISSION_SETS.reader, {
      key_id: key.keyId,
      key_prefix: key.prefix,
      key_hash: hashApiKey(pepper, key),
      pepper_id: pepperId(pepper),
      ...columns,
    });
    return key.credential;
  }

  const signIn = (services: Services, credential: string) =>
    services.authenticator.authenticate(
      { method: 'GET', headers: new Headers({ authorization: `Bearer ${credential}` }) },
      new Date(),
    );

  const storedPepper = async (credential: string): Promise<unknown> => {
    const [row] = await app.admin.core`select pepper_id from api_keys where key_id = ${idOf(credential)}`;
    return row?.['pepper_id'];
  };

  it('rotates with an overlap: a key under the previous one is accepted, and hashed again at its use', async () => {
    const [used, unused, fresh] = [await keyUnder(current), await keyUnder(current), await keyUnder(other)];
    const rotating = openWith({ API_KEY_PEPPER: other, API_KEY_PEPPER_PREVIOUS: current });
    expect((await signIn(rotating, used)).tenantId).toBe('acme');
    await until(
      () => storedPepper(used),
      (id) => id === pepperId(other),
    );
    await Promise.all([1, 2, 3].map(() => signIn(rotating, used)));
    await signIn(rotating, fresh);
    expect(await storedPepper(unused)).toBe(pepperId(current));
    // An instance that has not the new settings yet, but was told of the new pepper before, accepts all of them.
    const notYet = openWith({ API_KEY_PEPPER_PREVIOUS: other });
    for (const credential of [unused, fresh]) await signIn(notYet, credential);
    await until(
      () => storedPepper(fresh),
      (id) => id === pepperId(current),
    );
    // After the overlap.
    const after = openWith({ API_KEY_PEPPER: other });
    await signIn(after, used);
    await expect(signIn(after, unused)).rejects.toMatchObject({
      options: { detail: 'The API key is not known.' },
    });
    await expect(signIn(openWith(), used)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  });

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['revoked', { revoked_at: new Date(0), is_active: false }],
    ['expired', { expires_at: new Date(0) }],
    ['inactive', { is_active: false }],
  ])('a key under the previous one that is %s is refused and stays as it is', async (_, columns) => {
    const credential = await keyUnder(other, columns);
    const services = openWith({ API_KEY_PEPPER_PREVIOUS: other });
    await expect(signIn(services, credential)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    expect(await storedPepper(credential)).toBe(pepperId(other));
  });

  it('of a key from before peppers had ids is found out at its use', async () => {
    const credential = await keyUnder(current, { pepper_id: null });
    expect((await get(credential, 'mappings')).status).toBe(200);
    await until(
      () => storedPepper(credential),
      (id) => id === pepperId(current),
    );
  });

  it('a key just made is under the current one, and a wrong secret is never accepted', async () => {
    const { body } = await post(acme.owner, 'api-keys', { key_name: 'n', permission_set: 'reader' });
    expect(await storedPepper(body.api_key)).toBe(pepperId(current));
    const wrong = `${String(body.api_key).slice(0, -40)}${'a'.repeat(40)}`;
    await expect(signIn(openWith({ API_KEY_PEPPER_PREVIOUS: other }), wrong)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    });
  });

  it('operators see how many keys are under each, and which are left', async () => {
    const left = idOf(await keyUnder(other));
    const stranger = idOf(await keyUnder('s'.repeat(32)));
    const over = idOf(await keyUnder('e'.repeat(32), { expires_at: new Date(0) }));
    const seen = await readKeys({
      services: openWith({ API_KEY_PEPPER_PREVIOUS: other }),
      now: new Date(),
    } as never);
    const body = seen.body as TestAnswer['body'];
    const roles = Object.fromEntries(
      body.peppers.map((one: { pepper_id: string; role: string }) => [one.pepper_id, one.role]),
    );
    expect(roles).toMatchObject({
      [pepperId(current)]: 'current',
      [pepperId(other)]: 'previous',
      [pepperId('s'.repeat(32))]: 'unknown',
    });
    const ids = body.api_keys_to_rehash.keys.map((one: { key_id: string }) => one.key_id);
    expect(ids).toEqual(expect.arrayContaining([left, stranger]));
    // Nobody can use it again, so it would be left for ever.
    expect(ids).not.toContain(over);
    expect(Object.keys(roles)).not.toContain(pepperId('e'.repeat(32)));
    expect(body.api_keys_to_rehash.count).toBe(ids.length);
  });

  it('signs cursors, and those of the previous one are still good', async () => {
    const { headers } = await get(acme.owner, 'api-keys?limit=1');
    const next = /<([^>]+)>/.exec(headers.get('link') ?? '')?.[1] ?? '';
    const { decodeCursor } = await import('../../shared/platform/http/pagination.ts');
    const scope = { tenantId: 'acme', route: 'api-keys-list', params: {}, query: { sort: '-created_at' } };
    const cursor = new URL(next, app.baseUrl).searchParams.get('cursor') ?? '';
    expect(decodeCursor({ ...scope, key: current }, cursor).id).toMatch(/^[a-z0-9]{20}$/);
    expect(decodeCursor({ ...scope, key: other, otherKey: current }, cursor).id).toMatch(/^[a-z0-9]{20}$/);
    expect(() => decodeCursor({ ...scope, key: other }, cursor)).toThrow();
  });
});

it('no key and no pepper is in an answer or in the log', async () => {
  const answers = JSON.stringify([
    await readPlatformKeys(),
    (await get(acme.owner, 'data-keys')).body,
    (await get(acme.owner, 'api-keys')).body,
  ]);
  const [row] = await app.admin.core`select key_id, tenant_id, encode(wrapped_key, 'base64') as wrapped
    from ops.data_keys where wrapped_key is not null limit 1`;
  const { key } = await app.services.dataKeys.find(row?.['tenant_id'], row?.['key_id']);
  const plain = Buffer.from(key);
  const secrets = [
    app.settings.API_KEY_PEPPER,
    ...vault.secrets.versions(SECRET).map(({ value }) => value),
    ...(['base64', 'hex', 'base64url'] as const).map((encoding) => plain.toString(encoding)),
    String(row?.['wrapped']),
    ...Object.values(vault.identity).filter((value) => !value.startsWith('http')),
    acme.owner,
  ];
  const said = `${answers}\n${app.logLines.join('\n')}`;
  expect(secrets.filter((secret) => said.includes(secret))).toEqual([]);
});
