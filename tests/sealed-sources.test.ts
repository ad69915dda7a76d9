import { randomBytes } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openServices, type Services } from '../functions/services.ts';
import { PERMISSION_SETS } from '../shared/platform/auth/permissions.ts';
import { binding, open, SealBroken } from '../shared/platform/crypto/sealing.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme } = app.keys;

const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.9 },
  confidence: 0.9,
  processing_time_ms: 10,
  model_used: 'mapper-8b',
};

interface Stored {
  readonly recordId: string;
  readonly keyId: string;
}

/** Makes a mapping with its record. Returns the data key of its source. */
async function store(key: string, source: string): Promise<Stored> {
  const body = { detector: 'regex-pii', source_data: source, model_version: 'v1', response };
  const made = await app.request('POST', '/api/v1/mappings', { key, body });
  expect(made.status).toBe(201);
  const recordId: string = made.body.record_id;
  const [row] = await app.admin.core`select encryption_key_id from storage_records where id = ${recordId}`;
  return { recordId, keyId: row?.['encryption_key_id'] };
}

const read = (key: string, recordId: string): Promise<TestAnswer> =>
  app.request('GET', `/api/v1/records/${recordId}/source`, { key });

describe('a sealed source', () => {
  it('opens only for its own request: in another request’s row it does not, and the attempt is in the audit trail', async () => {
    const [one, other] = [
      await store(acme.owner, 'the source of one'),
      await store(acme.owner, 'of the other'),
    ];
    expect(one.keyId).toBe(other.keyId);
    await app.admin.core`update storage_records r set source_data = o.source_data from storage_records o
      where r.id in ${app.admin.core([one.recordId, other.recordId])}
        and o.id in ${app.admin.core([one.recordId, other.recordId])} and o.id <> r.id`;
    for (const { recordId } of [one, other]) {
      const answer = await read(acme.owner, recordId);
      expect([answer.status, answer.body.code]).toEqual([500, 'INTERNAL_ERROR']);
      const entries = await until(
        () =>
          app.admin.core`select outcome, details from audit_logs
            where resource_id = ${recordId} and action = 'record.source_read'`,
        (rows) => rows.length > 0,
      );
      expect(entries).toMatchObject([{ outcome: 'failure', details: { failure: 'seal_broken' } }]);
    }
  });

  it('opens with the data key that it names, if its tenant has several', async () => {
    const tenantId = 'two-keys';
    await app.admin
      .core`insert into tenants (tenant_id, name, plan_id, has_quota) values (${tenantId}, 'Two', 'professional', false)`;
    const useNewKey = async (): Promise<string> => {
      const keyId = await app.services.crossTenant.core.transaction((transaction) =>
        app.services.dataKeys.create(transaction, tenantId),
      );
      await app.admin.core`update tenants set data_key_id = ${keyId} where tenant_id = ${tenantId}`;
      return keyId;
    };
    const key = await app.makeKey(tenantId, PERMISSION_SETS.owner);
    const first = await useNewKey();
    const old = await store(key, 'sealed with the first');
    expect(old.keyId).toBe(first);
    const second = await useNewKey();
    const young = await until(
      () => store(key, 'sealed with the second'),
      (stored) => stored.keyId === second,
    );
    // In both orders, so that a cached key is not used for the other source.
    for (const { recordId } of [old, young, old]) {
      const answer = await read(key, recordId);
      const expected =
        recordId === old.recordId ? ['sealed with the first', first] : ['sealed with the second', second];
      expect([answer.status, answer.body.source_data, answer.body.encryption_key_id]).toEqual([
        200,
        ...expected,
      ]);
    }
  });
});

describe('the sealed content of an orchestration', () => {
  const contentOf = (n: number) => `the content of ${n}`;
  const bodyOf = (n: number) => ({
    content: contentOf(n),
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'prod',
  });

  it('opens for its own tenant and request alone, made singly or in a batch', async () => {
    const single = await app.request('POST', '/api/v1/orchestrations', { key: acme.writer, body: bodyOf(0) });
    const batch = await app.request('POST', '/api/v1/orchestrations/batch', {
      key: acme.writer,
      body: { items: [bodyOf(1), bodyOf(2)] },
    });
    const ids: string[] = [single.body, ...batch.body.items].map((made) => made.request_id);
    const rows = await app.admin.core`
      select request_id, content, encryption_key_id from orchestration_requests where request_id = any(${ids})`;
    expect(rows).toHaveLength(3);
    for (const { request_id: own, content, encryption_key_id: keyId } of rows) {
      const { key } = await app.services.dataKeys.find('acme', keyId);
      const openFor = (tenantId: string, id: string) => open(key, content, binding(tenantId, id)).toString();
      expect(openFor('acme', own)).toBe(contentOf(ids.indexOf(own)));
      for (const other of ids.filter((id) => id !== own))
        expect(() => openFor('acme', other)).toThrow(SealBroken);
      expect(() => openFor('globex', own)).toThrow(SealBroken);
    }
  });
});

describe('a data key', () => {
  const versions = new Map([
    ['1', randomBytes(32)],
    ['2', randomBytes(32)],
  ]);
  const openWith = (current: string): Services => {
    const services = openServices({ ...app.settings, KEY_ENCRYPTION_KEYS: { current, versions } });
    onTestFinished(() => services.close());
    return services;
  };
  const create = (services: Services): Promise<string> =>
    services.crossTenant.core.transaction((transaction) => services.dataKeys.create(transaction, 'acme'));

  it('is wrapped by the current version, and unwrapped by the version that wrapped it, also after a rotation', async () => {
    const before = openWith('1');
    const old = await create(before);
    const after = openWith('2');
    const young = await create(after);
    const wrapped = await app.admin.core`select key_id, wrapped_with from ops.data_keys
      where key_id in ${app.admin.core([old, young])} order by wrapped_with`;
    expect(wrapped).toEqual([
      { key_id: old, wrapped_with: '1' },
      { key_id: young, wrapped_with: '2' },
    ]);
    for (const keyId of [old, young]) {
      const [first, second] = [
        await before.dataKeys.find('acme', keyId),
        await after.dataKeys.find('acme', keyId),
      ];
      expect(first.keyId).toBe(keyId);
      expect(Buffer.compare(first.key, second.key)).toBe(0);
    }
    const keys = [await after.dataKeys.find('acme', old), await after.dataKeys.find('acme', young)];
    expect(new Set(keys.map(({ key }) => Buffer.from(key).toString('hex'))).size).toBe(2);
  });

  it('opens for no other tenant, and not with another key’s id', async () => {
    const services = openWith('1');
    const [one, other] = [await create(services), await create(services)];
    await expect(services.dataKeys.find('globex', one)).rejects.toThrow('no such data key');
    await app.admin.core`update ops.data_keys k set wrapped_key = o.wrapped_key from ops.data_keys o
      where k.key_id = ${one} and o.key_id = ${other}`;
    await expect(openWith('1').dataKeys.find('acme', one)).rejects.toThrow('seal');
  });
});
