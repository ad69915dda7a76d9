import { createHash, randomInt } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { declaredResources } from '../functions/declared-resources.ts';
import { tenantTables } from '../functions/tenant-tables.ts';
import { tenantExportsJob } from '../shared/domains/tenancy/exports/export-job.ts';
import { tenantExportsTimer } from '../functions/timer/tenant-exports.ts';
import type { ExportStore } from '../shared/platform/blob/export-store.ts';
import { runJob, type JobRun } from '../shared/platform/jobs/job.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { isExported } from '../shared/platform/tenant-data/read-rows.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { until } from './harness/app.ts';
import { makeTestPerson } from './harness/people.ts';
import { rowMaker } from './harness/row-maker.ts';
import { takeTour } from './harness/tour.ts';

const { app } = await startBillingApp();
const { job } = tenantExportsTimer;
const owner = { key: app.keys.acme.owner };
/** The content of the other tenant, which no export of acme may have. */
const STRANGER = 'only globex says this';
const DAY_MS = 86_400_000;
/** More than two pages of rows, and of blobs. */
const MANY = 450;

type Services = JobRun['services'];

const [member, leaver] = await Promise.all([1, 2].map(() => makeTestPerson(app, { acme: 'viewer' })));
if (member === undefined || leaver === undefined) throw new Error('nobody was made');

beforeAll(async () => {
  await app.admin
    .core`update user_role_assignments set is_active = false, ended_at = now() where user_id = ${leaver.userId}`;
  await takeTour(app);
  const body = { detector: STRANGER, source_data: STRANGER, model_version: 'v' };
  await app.request('POST', '/api/v1/mappings', { key: app.keys.globex.owner, body });
  await fillTheRest();
  // The one that the tour asked for.
  await run();
}, 60_000);

/** Rows of the tables that no route of the tour fills, and many of one. */
async function fillTheRest(): Promise<void> {
  const { core, billing, analytics } = app.admin;
  const rows = rowMaker(app, 'acme', app.keys.acme.owner);
  for (const resource of declaredResources.filter(({ scope }) => scope !== 'platform'))
    await rows.tryMake(resource);
  await billing`insert into ops.free_tier_periods (tenant_id, user_id, usage_type, reset_period, period_start, period_end, used, usage_limit)
    values ('acme', '', 'api_calls', 'monthly', now() - interval '1 month', now(), 1, 10)`;
  await core`insert into analysis_metrics (tenant_id, id, metric_name, metric_value, time_period, created_at, expires_at)
    select 'acme', gen_random_uuid(), 'many', n, now(), now(), now() + interval '1 day' from generate_series(1, ${MANY}) n`;
  await billing`insert into ops.usage_thresholds (tenant_id, user_id, usage_type, reset_period, period_start, threshold, reached_at)
    values ('acme', '', 'api_calls', 'monthly', now(), 80, now())`;
  await billing`insert into ops.meter_windows (tenant_id, window_id, usage_type, period_start, period_end, amount, event_name)
    values ('acme', ${newId()}, 'api_calls', now(), now() + interval '1 hour', 3, 'api_calls')`;
  await billing`insert into promotional_codes (code, discount_type, discount_value, duration) values ('HELLO', 'percentage', 10, 'once')`;
  await billing`insert into promotional_code_usage (tenant_id, code, status, reserved_at) values ('acme', 'HELLO', 'used', now())`;
  await analytics`insert into usage_metrics (tenant_id, id, metric_name, granularity, period_start, metric_unit, metric_value, event_count)
    values ('acme', ${newId()}, 'more', 'hour', now(), 'count', 1.25, 1)`;
}

interface Manifest {
  readonly tables: readonly Source[];
  readonly blobs: Source;
  readonly not_exported: readonly { table: string; reason: string }[];
  readonly unreadable: number;
}
interface Source {
  readonly database: string;
  readonly table: string;
  readonly rows: number;
  readonly files: readonly { name: string; rows: number; bytes: number; sha256: string }[];
}

const request = async (): Promise<string> => {
  const answer = await app.request('POST', '/api/v1/tenant/exports', owner);
  expect(answer.status).toBe(201);
  return answer.body.export_id;
};
const read = async (exportId: string) =>
  (await app.request('GET', `/api/v1/tenant/exports/${exportId}`, owner)).body;
const run = (services: Partial<Services> = {}, asOf?: Date) =>
  runJob({ ...app.services, ...services }, job, {
    triggeredBy: 'test',
    ...(asOf === undefined ? {} : { asOf }),
  });

/** Downloads everything that a manifest names, and checks the counts and hashes. Returns the texts by their file's name. */
async function download(exportId: string): Promise<{ manifest: Manifest; texts: Map<string, string> }> {
  const { link } = await read(exportId);
  const manifest = (await (await fetch(link.manifest_url)).json()) as Manifest;
  const texts = new Map<string, string>();
  const get = async (name: string): Promise<Buffer> => {
    const url = new URL(link.url);
    url.pathname += `/${name}`;
    const answer = await fetch(url);
    expect([name, answer.status]).toEqual([name, 200]);
    return Buffer.from(await answer.arrayBuffer());
  };
  for (const { files } of [...manifest.tables, manifest.blobs])
    for (const file of files) {
      const bytes = await get(file.name);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(file.sha256);
      expect(bytes.length).toBe(file.bytes);
      texts.set(file.name, bytes.toString('utf8'));
      expect(linesOf(texts, file.name)).toHaveLength(file.rows);
    }
  for (const { file, sha256 } of rowsOf(manifest.blobs, texts)) {
    const bytes = await get(String(file));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
    texts.set(String(file), bytes.toString('utf8'));
  }
  return { manifest, texts };
}

const linesOf = (texts: ReadonlyMap<string, string>, name: string): string[] =>
  (texts.get(name) ?? '').split('\n').slice(0, -1);
const rowsOf = (source: Source, texts: ReadonlyMap<string, string>): Record<string, unknown>[] =>
  source.files.flatMap(({ name }) => linesOf(texts, name).map((line) => JSON.parse(line)));

/** The rows of acme in each exported table. */
async function countRows(): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { database, table } of tenantTables.filter(isExported)) {
    const [row] = await app.admin[database].unsafe(
      `select count(*)::int as rows from ${table} where tenant_id = 'acme'`,
    );
    counts.set(`${database}/${table}`, row?.['rows']);
  }
  return counts;
}

/** What tables and the export have, at one moment: nothing of acme is written meanwhile. */
async function whenQuiet(): Promise<void> {
  await until(
    async () => [
      ...(await app.admin.core`select from ops.outbox`),
      ...(await app.admin.billing`select from ops.outbox`),
      // The sender of mails reads `notifications`.
      ...Object.entries(app.broker.queueCounts()).filter(
        ([queue, { active }]) => queue !== 'notifications' && active > 0,
      ),
    ],
    (waiting) => waiting.length === 0,
  );
}

/** A storage that fails at the operation of this number, as if the process ended there. */
function storeThatFailsAt(nth: number): ExportStore {
  let left = nth;
  const { exports: store } = app.services;
  const count = () => {
    left -= 1;
    if (left < 0) throw new Error('ended here');
  };
  return {
    create: (id: string) => store.create(id),
    names: (id: string) => store.names(id),
    deleteFile: (id: string, name: string) => store.deleteFile(id, name),
    delete: (id: string) => store.delete(id),
    async write(...given: Parameters<ExportStore['write']>) {
      count();
      await store.write(...given);
    },
    async startFile(...given: Parameters<ExportStore['startFile']>) {
      const file = await store.startFile(...given);
      return {
        add: (bytes: Uint8Array) => file.add(bytes),
        async commit() {
          await file.commit();
          // After the file is there, and before it is booked.
          count();
        },
      };
    },
  } as never;
}

describe('an export', () => {
  let whole: Awaited<ReturnType<typeof download>>;
  let counts: Map<string, number>;

  it('has a row of every table, as many as the database, with right hashes', async () => {
    // The tour has deleted what it made of these.
    for (const [path, body] of [
      ['roles', { role_name: 'exported', permissions: ['records:read'] }],
      ['webhook-endpoints', { url: 'https://receiver.invalid/', event_types: ['payment.failed'] }],
    ] as const)
      expect(await app.request('POST', `/api/v1/${path}`, { key: app.keys.acme.owner, body })).toMatchObject({
        status: 201,
      });
    await whenQuiet();
    counts = await countRows();
    expect([...counts].filter(([, rows]) => rows === 0)).toEqual([]);
    const exportId = await request();
    await whenQuiet();
    counts = await countRows();
    expect((await run()).status).toBe('completed');
    const { status, rows, link } = await read(exportId);
    expect([status, link === null]).toEqual(['completed', false]);
    whole = await download(exportId);
    const exported = whole.manifest.tables.map(
      ({ database, table, rows: n }) => [`${database}/${table}`, n] as const,
    );
    expect(new Map(exported)).toEqual(counts);
    expect(rows).toBe([...counts.values()].reduce((sum, n) => sum + n, 0) + whole.manifest.blobs.rows);
    expect(whole.manifest.unreadable).toBe(0);
  });

  it('has no row twice, and only rows of its tenant', () => {
    for (const source of whole.manifest.tables) {
      const declared = tenantTables.find((t) => t.database === source.database && t.table === source.table);
      const rows = rowsOf(source, whole.texts);
      expect(new Set(rows.map((row) => row['tenant_id']))).toEqual(new Set(['acme']));
      const keys = rows.map((row) => JSON.stringify(declared?.key.map((column) => row[column])));
      expect(new Set(keys).size).toBe(rows.length);
    }
    expect([...whole.texts.values()].filter((text) => text.includes(STRANGER))).toEqual([]);
  });

  it('has content in clear, also of archived records', () => {
    const of = (table: string) =>
      rowsOf(whole.manifest.tables.find((source) => source.table === table) as Source, whole.texts);
    expect(of('orchestration_requests').map((row) => row['content'])).toContain('what is said');
    for (const table of ['mapper_requests', 'storage_records'])
      expect(of(table).map((row) => row['source_data'])).toContain('SSN 123-45-6789');
    const blobs = rowsOf(whole.manifest.blobs, whole.texts);
    expect(blobs.map((row) => row['source_data'])).toContain('SSN 123-45-6789');
    expect(blobs.length).toBe(counts.get('core/ops.blobs'));
  });

  it('has no secret: no key’s hash or prefix, no data key, no fingerprint', async () => {
    const { core, billing } = app.admin;
    const bytes = [
      ...(await core`select key_hash as secret from api_keys`),
      ...(await core`select wrapped_key as secret from ops.data_keys`),
      ...(await core`select content_mac as secret from orchestration_requests`),
      ...(await core`select fingerprint as secret from ops.idempotency`),
      ...(await core`select fingerprint as secret from mapper_responses`),
      ...(await billing`select wish as secret from ops.checkout_sessions where wish is not null`),
    ].map((row) => row['secret'] as Buffer | null);
    const prefixes = (await core`select key_prefix as secret from api_keys`).map(
      (row) => `"${row['secret']}"`,
    );
    const secrets = [
      ...bytes.flatMap((secret) =>
        secret === null ? [] : [secret.toString('hex'), secret.toString('base64')],
      ),
      ...prefixes,
      app.settings.API_KEY_PEPPER,
      ...Object.values(app.keys.acme),
    ];
    expect(secrets.length).toBeGreaterThan(20);
    const all = [...whole.texts.values()].join('\n');
    expect(secrets.filter((secret) => all.includes(secret))).toEqual([]);
  });

  it('says who has which role: of members also the address and the name', () => {
    const source = whole.manifest.tables.find(({ table }) => table === 'user_role_assignments') as Source;
    const rows = rowsOf(source, whole.texts);
    expect(rows.find((row) => row['user_id'] === member.userId)).toMatchObject({
      role_name: 'viewer',
      email: member.email,
      first_name: 'Jo',
      last_name: null,
    });
    expect(rows.find((row) => row['user_id'] === leaver.userId)).toMatchObject({
      email: null,
      first_name: null,
    });
  });

  it('begins again where another release has another table before the place that it has reached', async () => {
    const exportId = await request();
    await whenQuiet();
    counts = await countRows();
    const older = tenantTables.slice(1);
    const copyBlobs = () => Promise.reject(new Error('ended here'));
    await runJob(app.services, tenantExportsJob({ tables: older, copyBlobs }), {
      triggeredBy: 'test',
    }).catch(() => undefined);
    expect((await read(exportId)).status).toBe('running');
    await run();
    const { manifest } = await download(exportId);
    expect(
      new Map(manifest.tables.map(({ database, table, rows }) => [`${database}/${table}`, rows])),
    ).toEqual(counts);
  });

  it('says what is not exported, with the reason', () => {
    const named = whole.manifest.not_exported.map(({ table }) => table);
    expect(named).toEqual(tenantTables.filter((table) => !isExported(table)).map(({ table }) => table));
  });

  it('is the same when its run is killed again and again', { timeout: 60_000 }, async () => {
    const exportId = await request();
    await whenQuiet();
    counts = await countRows();
    let kills = 0;
    for (let status = 'waiting'; status !== 'completed'; status = (await read(exportId)).status) {
      await run({ exports: storeThatFailsAt(randomInt(6)) }).catch(() => (kills += 1));
      expect(kills).toBeLessThan(200);
    }
    expect(kills).toBeGreaterThan(3);
    const { manifest } = await download(exportId);
    expect(
      new Map(manifest.tables.map(({ database, table, rows }) => [`${database}/${table}`, rows])),
    ).toEqual(counts);
    // What the killed runs left is gone.
    const names: string[] = [];
    for await (const page of app.services.exports.names(exportId)) names.push(...page);
    const booked = [...manifest.tables, manifest.blobs].flatMap(({ files }) => files.map(({ name }) => name));
    expect(names.filter((name) => !name.startsWith('copies/')).sort()).toEqual(
      [...booked, 'manifest.json'].sort(),
    );
  });

  it('is whole when two processes make it at once, without the job’s lock', async () => {
    const exportId = await request();
    await whenQuiet();
    counts = await countRows();
    const anyRun = (): JobRun => ({
      services: app.services,
      now: new Date(),
      runId: newId(),
      progress: {
        cutoff: undefined,
        examined: 0,
        deleted: 0,
        kept_on_hold: 0,
        not_archived: 0,
        bytes: 0,
        details: {},
      },
      timeLeftMs: () => 60_000,
      position: () => Promise.resolve(undefined),
      savePosition: () => Promise.resolve(),
    });
    await Promise.all([job.run(anyRun()), job.run(anyRun())]);
    await until(
      async () => {
        await job.run(anyRun());
        return read(exportId);
      },
      ({ status }) => status === 'completed',
    );
    const { manifest } = await download(exportId);
    expect(
      new Map(manifest.tables.map(({ database, table, rows }) => [`${database}/${table}`, rows])),
    ).toEqual(counts);
  });

  it('is made once at a time', async () => {
    const both = await Promise.all([1, 2].map(() => app.request('POST', '/api/v1/tenant/exports', owner)));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 409]);
    await run();
  });

  it('is offered by a link that expires, and is in no log', async () => {
    const { body } = await app.request('GET', '/api/v1/tenant/exports?status=completed', owner);
    const exportId: string = body.items[0].export_id;
    const { link } = await read(exportId);
    expect((await fetch(link.manifest_url)).status).toBe(200);
    expect((await fetch(link.manifest_url, { method: 'DELETE' })).status).toBe(403);
    expect(new Date(link.expires_at).getTime() - Date.now()).toBeLessThanOrEqual(15 * 60_000);
    const past = new Date(Date.now() - 60_000);
    const expired = await app.services.exports.link(exportId, past, past);
    expect((await fetch(expired.fileUrl('manifest.json'))).status).toBe(403);
    expect(app.logLines.filter((line) => line.includes('sig='))).toEqual([]);
    const stranger = await app.request('GET', `/api/v1/tenant/exports/${exportId}`, {
      key: app.keys.globex.owner,
    });
    expect(stranger.status).toBe(404);
    const made = await until(
      () => app.admin.core`select details from audit_logs where action = 'tenant_export.link_made'`,
      (rows) => rows.length > 0,
    );
    expect(JSON.stringify(made)).not.toContain('sig=');
  });

  it('is deleted after its days, and at once when its tenant is erased', async () => {
    const { link, export_id: exportId } = await read(
      (await app.request('GET', '/api/v1/tenant/exports?status=completed', owner)).body.items[0].export_id,
    );
    await run({}, new Date(Date.now() + 8 * DAY_MS));
    expect((await fetch(link.manifest_url)).status).toBe(404);
    expect(await read(exportId)).toMatchObject({ status: 'deleted', link: null });
    expect(await app.admin.core`select from ops.tenant_export_files`).toEqual([]);

    const body = { tenant_id: 'gone', name: 'Gone' };
    const { owner_api_key: key } = (
      await app.request('POST', '/api/v1/platform/tenants', { key: app.keys.operator, body })
    ).body;
    const theirs = (await app.request('POST', '/api/v1/tenant/exports', { key })).body.export_id;
    await run();
    const { body: made } = await app.request('GET', `/api/v1/tenant/exports/${theirs}`, { key });
    expect(made.status).toBe('completed');
    await app.request('POST', '/api/v1/tenant/exports', { key });
    await app.admin.core`update tenants set status = 'erased' where tenant_id = 'gone'`;
    await run();
    await run();
    expect((await fetch(made.link.manifest_url)).status).toBe(404);
    const left = await app.admin
      .core`select distinct status from ops.tenant_exports where tenant_id = 'gone'`;
    expect(left).toEqual([{ status: 'deleted' }]);
  });
});
