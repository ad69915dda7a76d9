import { fork } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { findTypeScriptNode } from '../../dev/processes/node-command.ts';
import { openServices, type Services } from '../../functions/services.ts';
import { dataKeysRewrap } from '../../shared/domains/keys/data-keys-rewrap.ts';
import { DataKeys } from '../../shared/platform/crypto/data-keys.ts';
import type { KeyEncryptionKeys } from '../../shared/platform/crypto/key-encryption-keys.ts';
import type { KeyVersion } from '../../shared/platform/crypto/key-version.ts';
import { KeyUnavailable } from '../../shared/platform/crypto/key-unavailable.ts';
import {
  countWrappedKeys,
  rewrapBatch,
  wrappingVersions,
} from '../../shared/platform/crypto/wrapped-keys.ts';
import type {
  CrossTenantDatabase,
  CrossTenantTransaction,
} from '../../shared/platform/db/tenant-database.ts';
import { runJob } from '../../shared/platform/jobs/job.ts';
import { startTestApp } from '../harness/app.ts';

// The rotation of the key-encryption key: data keys are wrapped again, whatever stops that, and none is ever lost.

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { core } = app.admin;
const KEYS = 250; // three batches
const names = ['1', '2', '3'] as const;
const keyBytes = new Map<string, Uint8Array>(names.map((name) => [name, randomBytes(32)]));

/** Services whose newest version is this one. */
function openAt(current: string): Services {
  const services = openServices({
    ...app.settings,
    KEY_ENCRYPTION_KEYS: { current, versions: keyBytes },
  });
  onTestFinished(() => services.close());
  return services;
}

/** Another source of versions than the settings. */
function withKeys(services: Services, changes: Partial<KeyEncryptionKeys>): Services {
  const wrapping = { ...services.dataKeys.wrapping, ...changes };
  return { ...services, dataKeys: new DataKeys(services.crossTenant.core, wrapping) };
}

const at = (version: string): KeyVersion => ({ version, key: keyBytes.get(version) ?? new Uint8Array() });
const rewrap = (services: Services) => runJob(services, dataKeysRewrap, { triggeredBy: 'test' });

/** What each data key is, in plain form, as this version of the app reads it. */
async function plainKeys(services: Services): Promise<Map<string, string>> {
  const rows = await core`select tenant_id, key_id from ops.data_keys where wrapped_key is not null`;
  const keys = new DataKeys(services.crossTenant.core, services.dataKeys.wrapping);
  const found = await Promise.all(
    rows.map(async ({ tenant_id: tenant, key_id: id }) => {
      const { key } = await keys.find(tenant, id);
      return [id, Buffer.from(key).toString('hex')] as const;
    }),
  );
  return new Map(found);
}

const counts = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await countWrappedKeys(app.services.crossTenant.core)).map((one) => [one.version, one.data_keys]),
  );

let before: Map<string, string>;
beforeEach(async () => {
  await core`delete from ops.data_keys`;
  const services = openAt('1');
  await services.crossTenant.core.transaction(async (transaction) => {
    for (let n = 0; n < KEYS; n++)
      await services.dataKeys.create(transaction, n % 2 === 0 ? 'acme' : 'globex');
  });
  before = await plainKeys(services);
  expect(before.size).toBe(KEYS);
});

describe('after a rotation of the key-encryption key', () => {
  it('every data key is wrapped with the newest version and stays what it was; old versions wrap nothing', async () => {
    const services = openAt('2');
    const young = await services.crossTenant.core.transaction((transaction) =>
      services.dataKeys.create(transaction, 'acme'),
    );
    expect(await services.dataKeys.countOutdated()).toBe(KEYS);
    const run = await rewrap(services);
    expect(run).toMatchObject({ status: 'completed', examined: KEYS, details: { rewrapped: KEYS } });
    expect(await counts()).toEqual({ 2: KEYS + 1 });
    expect(await wrappingVersions(services.crossTenant.core)).toEqual(['2']);
    expect(await services.dataKeys.countOutdated()).toBe(0);
    const after = await plainKeys(services);
    after.delete(young);
    expect(after).toEqual(before);
    expect((await rewrap(services)).examined).toBe(0);
    // Without the old version, nothing is missing.
    const onlyNew = openServices({
      ...app.settings,
      KEY_ENCRYPTION_KEYS: { current: '2', versions: new Map([['2', at('2').key]]) },
    });
    onTestFinished(() => onlyNew.close());
    expect((await plainKeys(onlyNew)).size).toBe(KEYS + 1);
  });

  it('a destroyed data key stays destroyed, also if it is destroyed meanwhile', async () => {
    const [destroyed, racing] = [...before.keys()];
    const destroy = (id: string | undefined) =>
      core`update ops.data_keys set wrapped_key = null, destroyed_at = now() where key_id = ${id ?? ''}`;
    await destroy(destroyed);
    const services = openAt('2');
    await Promise.all([rewrap(services), destroy(racing)]);
    const rows = await core`select wrapped_key, wrapped_with from ops.data_keys
      where key_id in ${core([destroyed ?? '', racing ?? ''])}`;
    expect(rows.map((row) => row['wrapped_key'])).toEqual([null, null]);
    await rewrap(services);
    expect(await counts()).toEqual({ 2: KEYS - 2 });
  });

  it('a data key whose bytes are broken stays as it is, and the run says so after all others are wrapped', async () => {
    const [id = ''] = before.keys();
    await core`update ops.data_keys set wrapped_key = set_byte(wrapped_key, 20, get_byte(wrapped_key, 20) # 1)
      where key_id = ${id}`;
    const services = openAt('2');
    await expect(rewrap(services)).rejects.toThrow('data keys do not open');
    expect(await counts()).toEqual({ 1: 1, 2: KEYS - 1 });
    const [row] = await core`select details, error from retention_runs order by run_id desc limit 1`;
    expect(row).toMatchObject({ details: { broken: 1, rewrapped: KEYS - 1 }, error: 'DataKeysBroken' });
  });

  it('a version that was disabled too early is named with its data keys; the others are wrapped, and nothing is lost', async () => {
    await core`update ops.data_keys set wrapped_with = '3'
      where key_id in (select key_id from ops.data_keys order by key_id limit 10)`;
    const services = openAt('2');
    const disabled = withKeys(services, {
      version: (version) =>
        version === '3'
          ? Promise.reject(new KeyUnavailable({ vault: 'kv', secret: 'kek', version }, 'disabled'))
          : services.dataKeys.wrapping.version(version),
    });
    await expect(rewrap(disabled)).rejects.toThrow(
      'Cannot read version 3 of the secret kek in the vault kv: it is disabled',
    );
    expect(await counts()).toEqual({ 2: KEYS - 10, 3: 10 });
    const [row] = await core`select status, details, error from retention_runs order by run_id desc limit 1`;
    expect(row).toMatchObject({
      status: 'failed',
      details: { unreadable_3: 10, rewrapped: KEYS - 10 },
      error: 'KeyUnavailable KEY_DISABLED',
    });
    const needed = app.logLines.filter((line) => line.includes('key-version-needed')).at(-1);
    expect(JSON.parse(needed ?? '{}')).toMatchObject({ version: '3', data_keys: 10 });
    // As it was before: version 1 wrapped them.
    await core`update ops.data_keys set wrapped_with = '1' where wrapped_with = '3'`;
    await rewrap(services);
    expect(await plainKeys(services)).toEqual(before);
  });

  it('without an answer of the vault nothing is wrapped: the last known version may not be the newest', async () => {
    const services = openAt('2');
    const fault = new KeyUnavailable({ vault: 'kv', secret: 'kek' }, 'unreachable');
    await expect(rewrap(withKeys(services, { newest: () => Promise.reject(fault) }))).rejects.toBe(fault);
    expect(await counts()).toEqual({ 1: KEYS });
  });

  it('two at once do no harm', async () => {
    const services = openAt('2');
    const { core: database } = services.crossTenant;
    const all = async (): Promise<number> => {
      let [done, after] = [0, undefined as Parameters<typeof rewrapBatch>[3]];
      do {
        const batch = await rewrapBatch(database, at('1'), at('2'), after, new Date());
        [done, after] = [done + batch.rewrapped, batch.next];
      } while (after !== undefined);
      return done;
    };
    const done = await Promise.all([all(), all(), all()]);
    expect(done.reduce((sum, one) => sum + one)).toBeLessThanOrEqual(KEYS);
    await rewrap(services);
    expect(await counts()).toEqual({ 2: KEYS });
    expect(await plainKeys(services)).toEqual(before);
  });

  it('a data key that is wrapped again between two reads of it is found', async () => {
    const services = openAt('2');
    const [id = ''] = before.keys();
    const [row] = await core`select tenant_id from ops.data_keys where key_id = ${id}`;
    const racing = withKeys(services, {
      version: async (version) => {
        if (version !== '1') return services.dataKeys.wrapping.version(version);
        await rewrap(services);
        throw new KeyUnavailable({ vault: 'kv', secret: 'kek', version }, 'disabled');
      },
    });
    const { key } = await racing.dataKeys.find(String(row?.['tenant_id']), id);
    expect(Buffer.from(key).toString('hex')).toBe(before.get(id));
  });
});

/** Stops everything at the n-th statement, before or after the server has run it. */
function stoppedAt(database: CrossTenantDatabase, statement: number, isRun: boolean): CrossTenantDatabase {
  let left = statement;
  const stop = (): never => {
    throw new Error('killed');
  };
  const stopping = (query: CrossTenantTransaction['query']): CrossTenantTransaction['query'] =>
    (async (...args: Parameters<typeof query>) => {
      if (left === 0 && !isRun) stop();
      const rows = await query(...args);
      if (left === 0) stop();
      left -= 1;
      return rows;
    }) as typeof query;
  return {
    query: stopping(database.query.bind(database)),
    transaction: async (run: (transaction: CrossTenantTransaction) => Promise<unknown>) => {
      const result = await database.transaction((transaction) =>
        run({ query: stopping(transaction.query.bind(transaction)) } as unknown as CrossTenantTransaction),
      );
      // The commit is a statement too.
      if (left === 0) stop();
      left -= 1;
      return result;
    },
  } as unknown as CrossTenantDatabase;
}

describe('a re-wrap that is killed goes on, and no data key is lost', () => {
  it('50 times, at random statements', async () => {
    const services = openAt('1');
    const { core: database } = services.crossTenant;
    let killed = 0;
    for (let n = 0; n < 50; n++) {
      const [from, to] = n % 2 === 0 ? (['1', '2'] as const) : (['2', '1'] as const);
      const stopped = stoppedAt(database, randomInt(9), randomInt(2) === 0);
      let after: Parameters<typeof rewrapBatch>[3];
      try {
        do {
          after = (await rewrapBatch(stopped, at(from), at(to), after, new Date())).next;
        } while (after !== undefined);
      } catch (error) {
        expect(String(error)).toContain('killed');
        killed += 1;
      }
    }
    expect(killed).toBeGreaterThan(25);
    expect(await plainKeys(services)).toEqual(before);
    await rewrap(services);
    expect(await counts()).toEqual({ 1: KEYS });
    expect(await plainKeys(services)).toEqual(before);
  });

  it('as a process, by SIGKILL', async () => {
    const versions = Object.fromEntries(
      [...keyBytes].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
    );
    for (let n = 0; n < 3; n++) {
      const current = n % 2 === 0 ? '2' : '1';
      const child = fork(path.join(import.meta.dirname, 'rewrap-process.ts'), {
        execPath: findTypeScriptNode(),
        execArgv: [],
        env: {
          ...process.env,
          ...app.environment,
          KEY_ENCRYPTION_KEYS: JSON.stringify({ current, versions }),
        },
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      await new Promise((resolve) => child.once('message', resolve));
      await delay(randomInt(40));
      child.kill('SIGKILL');
      await ended;
      expect(await plainKeys(openAt(current))).toEqual(before);
    }
    await expect.poll(async () => (await rewrap(openAt('3'))).status).toBe('completed');
    expect(await counts()).toEqual({ 3: KEYS });
    expect(await plainKeys(openAt('3'))).toEqual(before);
  });
});
