import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, describe, expect, it } from 'vitest';
import { runErasures } from '../shared/domains/erasure/erasure-job.ts';
import { writePersonTombstone } from '../shared/domains/erasure/person-tombstones.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { tenantTables } from '../functions/tenant-tables.ts';
import { DataKeyDestroyed } from '../shared/platform/crypto/data-keys.ts';
import { openServices, type Services } from '../functions/services.ts';
import { readSettings } from '../shared/platform/config/settings.ts';
import { binding, open } from '../shared/platform/crypto/sealing.ts';
import { reconcile, type ReconcileOptions } from '../tools/reconcile/reconcile.ts';
import { CONTAINERS } from '../shared/platform/blob/blob-store.ts';
import { circuitBreakerKey, detectorResultKey, modelConfigKey } from '../shared/platform/cache/keys.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { tenantErasuresTimer } from '../functions/timer/tenant-erasures.ts';
import { startTestApp, until } from './harness/app.ts';
import { makeTestPerson } from './harness/people.ts';
import {
  beginLeaving,
  blobsOf,
  countRows,
  fillTables,
  makeGoneTenant,
  makeLeavingTenant,
  PERSON,
  SECRET,
} from './harness/leaving-tenant.ts';

const app = await startTestApp();
const { operator } = app.keys;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const erasureOf = (tenantId: string) =>
  app.request('GET', `/api/v1/platform/tenants/${tenantId}/erasure`, { key: operator });
const request = (tenantId: string, body: unknown = {}) =>
  app.request('POST', `/api/v1/platform/tenants/${tenantId}/erasure`, { key: operator, body });

/** Runs the job, some minutes from now. */
const run = (minutes = 0) =>
  runErasures({
    services: app.services,
    tables: tenantTables,
    now: new Date(Date.now() + minutes * MINUTE_MS),
    hasTime: () => true,
  });

describe('a request', () => {
  it('is refused for a tenant that is unknown, not leaving, or may still stay', async () => {
    await app.admin.core`insert into tenants (tenant_id, name) values ('stayer', 'Stayer')`;
    expect((await request('nobody')).status).toBe(404);
    expect((await erasureOf('stayer')).status).toBe(404);
    expect((await request('platform')).status).toBe(409);
    expect((await request('stayer')).status).toBe(409);
    await beginLeaving(app, 'stayer', false);
    expect((await request('stayer')).body.detail).toContain('early');
    expect((await request('stayer', { early: true })).status).toBe(400);
    const asked = await request('stayer', { early: true, reason: 'they asked for it' });
    expect([asked.status, asked.body.status, asked.body.step]).toEqual([202, 'waiting', 'holds']);
    expect((await request('stayer', { early: true, reason: 'again' })).status).toBe(409);
  });

  it('is cancelled when the tenant stays after all', async () => {
    await app.admin
      .core`update tenants set status = 'active', offboarding_ends_at = null where tenant_id = 'stayer'`;
    await run();
    expect((await erasureOf('stayer')).body).toMatchObject({ status: 'cancelled', report: null });
    const [row] = await app.admin.core`select status from tenants where tenant_id = 'stayer'`;
    expect(row).toEqual({ status: 'active' });
  });

  it('of an earlier leaving does not take the days of the next one', async () => {
    const { core } = app.admin;
    await beginLeaving(app, 'stayer', false);
    const asked = await request('stayer', { early: true, reason: 'they asked for it' });
    expect(asked.status).toBe(202);
    const undo = '/api/v1/platform/tenants/stayer/offboarding/undo';
    expect((await app.request('POST', undo, { key: operator })).status).toBe(200);
    const leave = '/api/v1/platform/tenants/stayer/offboarding';
    const body = { confirm: 'stayer' };
    expect((await app.request('POST', leave, { key: operator, body })).status).toBe(200);
    await run();
    expect((await erasureOf('stayer')).body).toMatchObject({ status: 'cancelled' });
    expect(await core`select status from tenants where tenant_id = 'stayer'`).toEqual([
      { status: 'offboarding' },
    ]);
    expect((await app.request('POST', undo, { key: operator })).status).toBe(200);
  });

  it('has its turn, however many others are stopped by a hold', async () => {
    const { core } = app.admin;
    await core`insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values ('globex', gen_random_uuid(), 'case', 'litigation', '{}', 'x')`;
    await core`insert into ops.erasures (tenant_id, erasure_id, scope, person_id, status, step, requested_by, requested_at)
      select 'globex', gen_random_uuid(), 'person', gen_random_uuid(), 'waiting', 'holds', 'x', now() - interval '1 day'
        from generate_series(1, 100)`;
    await beginLeaving(app, 'stayer', false);
    await request('stayer', { early: true, reason: 'they asked for it' });
    await core`update tenants set status = 'active' where tenant_id = 'stayer'`;
    await run();
    await run();
    expect((await erasureOf('stayer')).body).toMatchObject({ status: 'cancelled' });
    await core`delete from ops.erasure_steps where tenant_id = 'globex'`;
    await core`delete from ops.erasures where tenant_id = 'globex'`;
    await core`delete from legal_holds where tenant_id = 'globex'`;
  });
});

describe('a tenant that is called like a folder or a part of a key', () => {
  it('takes nothing of others with it, and its erasure ends', async () => {
    const { blobs, cache } = app.services;
    const named = ['audit', 'mappings'];
    for (const tenantId of named) await makeGoneTenant(app, tenantId, 1);
    await blobs.create(CONTAINERS.backups, 'acme/audit/theirs.json', Buffer.from('{}'), {});
    await cache.write(modelConfigKey('mappings', '1'), { a: 1 }, 600);
    await cache.write(circuitBreakerKey('audit'), { a: 1 }, 600);
    const ofOthers = async () => [...(await blobsOf(app, 'leaver')), ...(await blobsOf(app, 'acme'))];
    const before = await ofOthers();
    expect(before.map((name) => name.split('/').slice(0, 2).join('/'))).toEqual(
      expect.arrayContaining(['mapper-outputs/mappings', 'audit-logs/audit']),
    );
    for (const minutes of [0, 3]) await run(minutes);
    for (const tenantId of named)
      expect((await erasureOf(tenantId)).body).toMatchObject({ status: 'completed', error: null });
    expect(await ofOthers()).toEqual(before);
    const theirs = await blobs.read(CONTAINERS.backups, 'acme/audit/theirs.json');
    expect(theirs?.toString('utf8')).toBe('{}');
    expect(await blobs.read(CONTAINERS.records, 'mappings/mappings/2026/01/01/0.json')).toBeUndefined();
    expect(await blobs.read(CONTAINERS.auditLogs, 'audit/audit/2026/01/01/a.json')).toBeUndefined();
  });
});

/** A copy of core, as a backup of this moment is. Its own roles sign in. */
async function copyCore() {
  const { name, admin, app: url, crossTenant } = app.databases.core;
  const copy = `${name}_backup`;
  const named = (text: string): string => text.replace(`/${name}`, `/${copy}`);
  const server = postgres(admin.replace(`/${name}`, '/postgres'), { max: 1, onnotice: () => undefined });
  // A database with open connections cannot be copied. The app's come back.
  await server.unsafe(`alter database ${name} with allow_connections false`);
  await server`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
  await until(
    () => server`select from pg_stat_activity where datname = ${name}`,
    (rows) => rows.length === 0,
  );
  await server.unsafe(`create database ${copy} template ${name} owner comply_owner`);
  await server.unsafe(`alter database ${name} with allow_connections true`);
  afterAll(async () => {
    await server.unsafe(`drop database ${copy} with (force)`);
    await server.end();
  });
  await until(
    () => app.request('GET', '/api/v1/platform/jobs', { key: operator }),
    ({ status }) => status === 200,
  );
  return {
    environment: { CORE_DATABASE_URL: named(url), CORE_CROSS_TENANT_DATABASE_URL: named(crossTenant) },
    takenAt: new Date(),
  };
}

/** The app's services on the restored backup. */
function restored(
  environment: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>> = {},
) {
  const services = openServices(readSettings({ ...app.environment, ...environment, ...more }));
  afterAll(() => services.close());
  return services;
}

describe('an erasure', async () => {
  const { ownerKey, recordId } = await makeLeavingTenant(app, 'leaver');
  await fillTables(app, 'leaver');
  const [only, shared, gone, back] = await Promise.all([
    makeTestPerson(app, { leaver: 'viewer' }),
    makeTestPerson(app, { leaver: 'admin', acme: 'viewer' }),
    makeTestPerson(app, { acme: 'viewer' }),
    makeTestPerson(app, { acme: 'viewer', globex: 'viewer' }),
  ]);
  const { core } = app.admin;
  const before = await countRows(app, 'leaver');
  const ofOthers = await countRows(app, 'acme');
  const kept = { schema: 'x', by: PERSON };
  await app.services.blobs.create(
    CONTAINERS.backups,
    'leaver/held.json',
    Buffer.from(JSON.stringify(kept)),
    {},
  );
  const leased = (await app.services.blobs.service())
    .getContainerClient(CONTAINERS.backups)
    .getBlobClient('leaver/held.json')
    .getBlobLeaseClient();
  await app.services.cache.write(detectorResultKey('leaver', 'x'), { a: 1 }, 600);
  // Of the tenant's own people one was erased before.
  const earlier = { tenant_id: 'leaver', user_id: only.userId, erasure_id: newId() };
  await writePersonTombstone(app.services.blobs, earlier, new Date());
  const backup = await copyCore();
  const [sealed] =
    await core`select source_data, encryption_key_id, source_id from storage_records where id = ${recordId}`;

  it('has a row in every table to erase', () => {
    const missing = Object.entries(before).filter(
      ([name, rows]) => rows === 0 && !/erasure|export|legal_holds/.test(name),
    );
    expect(missing).toEqual([]);
  });

  it('waits for legal holds, says which, and goes on when they are released', async () => {
    const hold = await app.request('POST', '/api/v1/legal-holds', {
      key: ownerKey,
      body: { name: 'case', reason: 'litigation', scope: {} },
    });
    await beginLeaving(app, 'leaver', true);
    await run();
    expect((await erasureOf('leaver')).body).toMatchObject({
      status: 'on_hold',
      step: 'holds',
      held_by: [hold.body.hold_id],
      requested_by: 'job:tenant-erasures',
    });
    expect((await app.request('GET', '/api/v1/mappings', { key: ownerKey })).status).toBe(200);
    const released = await app.request('POST', `/api/v1/legal-holds/${hold.body.hold_id}/release`, {
      key: ownerKey,
    });
    expect(released.status).toBe(200);
  });

  it('first ends all access and destroys the keys: what is sealed cannot be opened, here or in a blob', async () => {
    await run();
    expect((await erasureOf('leaver')).body).toMatchObject({
      status: 'running',
      step: 'settle',
      held_by: [],
    });
    // Within 5 s on each instance. This one has just changed it.
    const fresh = openServices(app.settings);
    expect((await fresh.tenants.find('leaver'))?.status).toBe('erased');
    await expect(async () =>
      fresh.dataKeys.find('leaver', String(sealed?.['encryption_key_id'])),
    ).rejects.toBeInstanceOf(DataKeyDestroyed);
    await fresh.close();
    const keys = await core`select wrapped_key, destroyed_at from ops.data_keys where tenant_id = 'leaver'`;
    expect(keys.map(({ wrapped_key: key, destroyed_at: at }) => [key, at !== null])).toEqual(
      keys.map(() => [null, true]),
    );
    // Nothing is deleted before what ran has ended.
    const { 'core mapper_requests': mappings } = await countRows(app, 'leaver');
    expect(mappings).toBe(before['core mapper_requests']);
    await expect(
      core`update ops.data_keys set wrapped_key = '\\x00', destroyed_at = null where tenant_id = 'leaver'`,
    ).rejects.toThrow('stays destroyed');
  });

  it('stops at a hold that an operator places when nobody else can, and goes on when it is released', async () => {
    const holds = '/api/v1/platform/tenants/leaver/legal-holds';
    const sent = {
      key: operator,
      headers: { 'idempotency-key': 'late case' },
      body: { name: 'late case', reason: 'litigation', scope: {} },
    };
    const placed = await app.request('POST', holds, sent);
    expect([placed.status, placed.body.placed_by]).toEqual([201, expect.stringMatching(/^key:/)]);
    expect((await app.request('POST', holds, sent)).body).toEqual(placed.body);
    await run(3);
    expect((await erasureOf('leaver')).body).toMatchObject({
      status: 'on_hold',
      step: 'rows',
      held_by: [placed.body.hold_id],
    });
    const listed = await app.request('GET', `${holds}?limit=1`, { key: operator });
    expect(listed.body.items).toEqual([placed.body]);
    const one = placed.headers.get('location') ?? '';
    for (const path of [one, one.toUpperCase().replace(holds.toUpperCase(), holds)]) {
      const released = await app.request('POST', `${path}/release`, { key: operator });
      expect([released.status, released.body.released_by]).toEqual([200, placed.body.placed_by]);
    }
    // An erased tenant's trail takes nothing more: the acts are in the platform's, and name the tenant.
    const acts = () => core`select tenant_id, action, details from audit_logs
      where resource_id = ${String(placed.body.hold_id)} order by action, created_at`;
    const of = { tenant_id: 'platform', details: { tenant_id: 'leaver' } };
    expect(await until(acts, ({ length }) => length === 3)).toMatchObject([
      { ...of, action: 'legal_hold.created' },
      { ...of, action: 'legal_hold.released' },
      { ...of, action: 'legal_hold.released' },
    ]);
    const quarantined =
      await core`select from ops.quarantine where convert_from(body, 'UTF8') like '%legal_hold%'`;
    expect(quarantined).toEqual([]);
  });

  it('then removes what is left, and tells what it did, what stays, and why', async () => {
    await leased.acquireLease(-1);
    // What was caused before has arrived meanwhile.
    const last = await countRows(app, 'leaver');
    const [exported] = await core`insert into ops.tenant_exports
      (tenant_id, export_id, status, requested_by, created_at, worked_at, delete_after)
      values ('leaver', gen_random_uuid(), 'completed', ${PERSON}, now(), now(), now()) returning export_id`;
    await run(3);
    expect((await erasureOf('leaver')).body).toMatchObject({ status: 'running', step: 'blobs' });
    await core`update ops.tenant_exports set status = 'deleted', requested_by = ''
      where export_id = ${exported?.['export_id'] as string}`;
    await run(3);
    const { body } = await erasureOf('leaver');
    expect(body).toMatchObject({ status: 'completed', error: null, report: { cache_keys: 0 } });
    const after = await countRows(app, 'leaver');
    for (const { database, table, onErasure } of tenantTables) {
      const name = `${database} ${table}`;
      if (onErasure === 'delete') expect([name, after[name]]).toEqual([name, 0]);
    }
    expect(await countRows(app, 'acme')).toEqual(ofOthers);
    for (const { database, place, done } of body.report.places) {
      const { onErasure } =
        tenantTables.find((one) => one.database === database && one.table === place) ?? {};
      // The role of the person whose account went, too, went with it.
      const withAccount = place === 'user_role_assignments' ? 1 : 0;
      if (onErasure === 'delete')
        expect([place, Number(done) + withAccount]).toEqual([place, last[`${database} ${place}`]]);
    }
    expect(body.report.found.filter(({ why }: { why: string }) => why === '')).toEqual([]);
    expect(body.report.keys).toMatchObject(
      [{ versions: ['1'] }, {}, {}, {}].slice(0, body.report.keys.length),
    );
    expect(body.report.blobs).toMatchObject({ remaining: 1, examples: [{ blob_name: 'leaver/held.json' }] });
    expect(await blobsOf(app, 'leaver')).toEqual(
      expect.arrayContaining([expect.stringContaining('audit-logs/erased-keys/leaver/')]),
    );
    expect((await blobsOf(app, 'leaver')).filter((name) => !name.includes('erased-keys'))).toEqual([]);
    expect(await app.services.cache.attempt((client) => client.keys('*leaver*'))).toEqual([]);
  });

  it('removes the accounts of people whom no other tenant has', async () => {
    const left = await core`select user_id from users where user_id in (${only.userId}, ${shared.userId})`;
    expect(left).toEqual([{ user_id: shared.userId }]);
    const { body } = await erasureOf('leaver');
    expect(body.report.places).toContainEqual({ database: 'core', place: 'users', done: 1 });
  });

  it('leaves no person in the trail, keeps who is the same one, and each hash fits', async () => {
    const rows = await core`
      select actor, user_id, ip_address, user_agent, details, action, leaf_hash = sha256('\\x00'::bytea || canonical) as fits,
             convert_from(canonical, 'UTF8') as canonical from audit_logs where tenant_id = 'leaver'`;
    expect(rows.length).toBeGreaterThan(4);
    expect(JSON.stringify(rows)).not.toContain(PERSON);
    expect(rows.every(({ fits, ip_address: ip }) => fits === true && ip === null)).toBe(true);
    const actorsOf = (action: string) =>
      rows.filter((row) => row['action'] === action).map(({ actor }) => actor);
    expect(actorsOf('mapping.created')).toEqual([expect.stringMatching(/^key:erased-[0-9a-f]{20}$/)]);
    expect(actorsOf('api_key.created')).toEqual(actorsOf('mapping.created'));
    expect(actorsOf('tenant.created')).not.toEqual(actorsOf('mapping.created'));
    const [key] = await core`select pseudonym_key from ops.erasures where tenant_id = 'leaver'`;
    expect(key).toEqual({ pseudonym_key: null });
  });

  it('keeps invoices for the law, without persons', async () => {
    const [invoice] = await app.admin.billing`
      select user_id, hosted_invoice_url, total from billing_invoices where tenant_id = 'leaver' limit 1`;
    expect(invoice).toEqual({ user_id: '', hosted_invoice_url: null, total: '1' });
    const rows = await app.admin.billing`select * from billing_payments where tenant_id = 'leaver'`;
    expect(JSON.stringify(rows)).not.toContain(PERSON);
  });

  it('cannot be done by hand: the trail and the rows of who stays are closed, and so is the erased tenant', async () => {
    const { core: jobs } = app.services.crossTenant;
    const [erasure] = await core`select erasure_id from ops.erasures where tenant_id = 'leaver'`;
    const id = String(erasure?.['erasure_id']);
    const attempts: [string, readonly string[]][] = [
      [`select ops.pseudonymise_entries('leaver', $1, '[]')`, [id]],
      [`select ops.erase_rows('acme', $1, 'mapper_requests', 10)`, [id]],
      [`select ops.erase_rows('leaver', $1, 'audit_logs_none', 10)`, [id]],
      [`update audit_logs set actor = 'x' where tenant_id = 'acme'`, []],
      [`delete from audit_logs where tenant_id = 'acme'`, []],
    ];
    for (const [text, parameters] of attempts)
      await expect(jobs.query(text, parameters)).rejects.toMatchObject({ code: '42501' });
    // The app's own instance learns of it within 5 s.
    const seen = () => app.request('GET', '/api/v1/mappings', { key: ownerKey });
    expect((await until(seen, ({ status }) => status !== 200, 5)).status).toBe(401);
    expect((await request('leaver')).status).toBe(409);
  });

  it('is looked at again: blobs go when they may, invoices after ten years, and then it is over', async () => {
    await leased.breakLease(0);
    const DAY = 24 * 60;
    await run(2 * DAY);
    expect((await erasureOf('leaver')).body.report.blobs.remaining).toBe(0);
    const invoices = async () => (await countRows(app, 'leaver'))['billing billing_invoices'];
    expect(await invoices()).toBe(before['billing billing_invoices']);
    await run(11 * 366 * DAY);
    expect(await invoices()).toBe(0);
    expect((await countRows(app, 'leaver'))['billing billing_payments']).toBe(0);
    await run(11 * 367 * DAY);
    const [row] = await core`select next_pass_at from ops.erasures where tenant_id = 'leaver'`;
    expect(row).toEqual({ next_pass_at: null });
    const late = await app.request('POST', '/api/v1/platform/tenants/leaver/legal-holds', {
      key: operator,
      body: { name: 'too late', reason: 'litigation', scope: {} },
    });
    expect([late.status, late.body.detail]).toEqual([409, expect.stringContaining('nothing is left')]);
  });

  describe('and a backup from before it', () => {
    const keyId = String(sealed?.['encryption_key_id']);
    const openIn = async (services: Services): Promise<string> => {
      const { key } = await services.dataKeys.find('leaver', keyId);
      return open(
        key,
        sealed?.['source_data'] as Buffer,
        binding('leaver', String(sealed?.['source_id'])),
      ).toString('utf8');
    };

    it('opens what was sealed only with the version of the key-encryption key that the report names', async () => {
      expect(await openIn(restored(backup.environment))).toBe(SECRET);
      const { body } = await erasureOf('leaver');
      expect(body.report.keys.map(({ versions }: { versions: string[] }) => versions)).toContainEqual(['1']);
      const later = JSON.stringify({ '2': randomBytes(32).toString('base64') });
      const without = restored(backup.environment, { KEY_ENCRYPTION_KEYS: later });
      await expect(openIn(without)).rejects.toThrow('no version 1');
    });

    it('does not open it after reconcile, which also has the tenant erased again', async () => {
      const services = restored(backup.environment);
      const options = { moments: { core: backup.takenAt }, waitMs: 0 };
      const looked = await reconcile(services, { ...options, mend: false });
      const kinds = looked.findings.map(({ kind, mended }) => [kind, mended]);
      expect(kinds).toEqual(
        expect.arrayContaining([
          ['key_undestroyed', false],
          ['erasure_undone', false],
        ]),
      );
      const { findings } = await reconcile(services, { ...options, mend: true });
      expect(findings).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ kind: 'key_undestroyed', tenantId: 'leaver', mended: true }),
          expect.objectContaining({ kind: 'erasure_undone', tenantId: 'leaver', mended: true }),
        ]),
      );
      const fresh = restored(backup.environment);
      await expect(openIn(fresh)).rejects.toBeInstanceOf(DataKeyDestroyed);
      expect((await fresh.tenants.find('leaver'))?.status).toBe('erased');
      for (const minutes of [0, 3])
        await runErasures({
          services: fresh,
          tables: tenantTables,
          now: new Date(Date.now() + minutes * MINUTE_MS),
          hasTime: () => true,
        });
      const [row] = await fresh.crossTenant.core.query(
        `select status, (select count(*) from storage_records where tenant_id = 'leaver') as records
           from ops.erasures where tenant_id = 'leaver' order by requested_at desc limit 1`,
      );
      expect(row).toEqual({ status: 'completed', records: 0 });
      const later = { core: new Date(Date.now() + DAY_MS) };
      const again = await reconcile(fresh, { ...options, moments: later, mend: false });
      expect(again.findings.filter(({ tenantId }) => tenantId === 'leaver')).toEqual([]);
    });
  });

  describe('of a person, and a backup from before it', () => {
    const undone = ['person_erasure_undone', false, gone.userId];
    const joined = ['person_joined_again', false, back.userId];
    const personsIn = async (services: Services, options: Partial<ReconcileOptions> = {}) => {
      const given = { moments: { core: backup.takenAt }, waitMs: 0, mend: false, ...options };
      const { findings } = await reconcile(services, given);
      return findings.flatMap(({ kind, mended, items }) =>
        kind.startsWith('person_') ? items.map(({ user_id: userId }) => [kind, mended, userId]) : [],
      );
    };
    const stateIn = (services: Services, userId: string) =>
      services.crossTenant.core.query(
        `select (select e.status from ops.erasures e where e.person_id = $1 order by requested_at desc limit 1) as erasure,
                exists (select from user_role_assignments where user_id = $1 and tenant_id = 'acme' and is_active) as is_member,
                exists (select from users where user_id = $1) as has_account`,
        [userId],
      );
    const join = (services: Services) =>
      services.crossTenant.core.query(
        `insert into user_role_assignments (tenant_id, user_id, role_name) values ('acme', $1, 'user')`,
        [back.userId],
      );

    it('leaves a tombstone, which has ids only', async () => {
      for (const { userId } of [gone, back]) {
        const path = `/api/v1/users/${userId}/erasure`;
        const asked = await app.request('POST', path, { key: app.keys.acme.owner, body: {} });
        expect(asked.status).toBe(202);
      }
      await until(
        () => core`select from ops.outbox where tenant_id = 'acme'`,
        (rows) => rows.length === 0,
      );
      for (const minutes of [0, 3]) await run(minutes);
      for (const [person, hasAccount] of [
        [gone, false],
        [back, true],
      ] as const)
        expect(await stateIn(app.services, person.userId)).toEqual([
          { erasure: 'completed', is_member: false, has_account: hasAccount },
        ]);
      const folder = 'erased-people/acme/';
      const names: string[] = [];
      for await (const page of app.services.blobs.list(CONTAINERS.auditLogs, folder)) names.push(...page);
      expect(names).toHaveLength(2);
      for (const name of names) {
        const bytes = await app.services.blobs.read(CONTAINERS.auditLogs, name);
        expect(Object.keys(JSON.parse(String(bytes)) as object).sort()).toEqual([
          'erased_at',
          'erasure_id',
          'schema',
          'tenant_id',
          'user_id',
        ]);
      }
    });

    it('is found, done again, and then over; who joined again is only reported', async () => {
      const services = restored(backup.environment);
      const stoppedAt = new Date();
      expect(await personsIn(services)).toEqual(
        [undone, ['person_erasure_undone', false, back.userId]].sort(),
      );
      const later = new Date(Date.now() + DAY_MS);
      expect(await personsIn(services, { moments: { core: later } })).toEqual([]);
      await join(services);
      expect(await personsIn(services)).toEqual([undone, joined]);
      expect(await personsIn(services, { mend: true })).toEqual([
        ['person_erasure_undone', true, gone.userId],
        joined,
      ]);
      for (const minutes of [0, 3])
        await runErasures({
          services,
          tables: tenantTables,
          now: new Date(Date.now() + minutes * MINUTE_MS),
          hasTime: () => true,
        });
      expect(await stateIn(services, gone.userId)).toEqual([
        { erasure: 'completed', is_member: false, has_account: false },
      ]);
      expect(await stateIn(services, back.userId)).toEqual([
        { erasure: null, is_member: true, has_account: true },
      ]);
      expect(await personsIn(services, { until: stoppedAt })).toEqual([joined]);
    });

    it('is found where only billing was restored, although the ledger has the erasure', async () => {
      await join(app.services);
      const moments = { billing: backup.takenAt };
      const stoppedAt = new Date(Date.now() + DAY_MS);
      expect(await personsIn(app.services, { moments, until: stoppedAt })).toEqual([undone, joined]);
    });
  });

  it('runs as a timer’s job', async () => {
    const summary = await runJob(app.services, tenantErasuresTimer.job, { triggeredBy: 'test' });
    expect(summary.status).toBe('completed');
  });

  it('leaves none of what was sealed, nor the person, in any table or blob', async () => {
    for (const [name, sql] of Object.entries(app.admin)) {
      const tables = await sql<{ name: string }[]>`
        select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('public', 'ops') and c.relkind in ('r', 'p') and not c.relispartition`;
      for (const { name: table } of tables) {
        const rows = await sql.unsafe(`select t::text as row from ${table} t`);
        const found = rows.filter(({ row }) => String(row).includes(PERSON) || String(row).includes(SECRET));
        expect([name, table, found.length]).toEqual([name, table, 0]);
      }
    }
  });
});
