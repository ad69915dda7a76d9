import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { listRecords } from '../shared/domains/records/list-records.ts';
import { recordsQuery } from '../shared/domains/records/schemas.ts';
import { textOf } from '../shared/platform/call/reply.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { RECORD_COLUMNS } from '../shared/domains/records/record-columns.ts';
import { findRecordRow } from '../shared/domains/records/read-record.ts';
import type { Call } from '../shared/platform/call/call.ts';
import { openPool } from '../shared/platform/db/pool.ts';
import { openDatabases } from './harness/databases.ts';

// What the cross-tenant role (`comply_jobs`) may do with partitions, independent of the timers' code.

const databases = await openDatabases();
const open = (url: string) => postgres(url, { max: 3, onnotice: () => undefined });
const admin = open(databases.core.admin);
const jobs = open(databases.core.crossTenant);
const billingAdmin = open(databases.billing.admin);
const billingJobs = open(databases.billing.crossTenant);
afterAll(() => Promise.all([admin, jobs, billingAdmin, billingJobs].map((sql) => sql.end())));

const DAY_AGO = 200;
const [{ day, partition } = { day: '', partition: '' }] = await admin<{ day: string; partition: string }[]>`
  select to_char(current_date - ${DAY_AGO}::int, 'YYYY-MM-DD') as day,
         'storage_records_d' || to_char(current_date - ${DAY_AGO}::int, 'YYYYMMDD') as partition`;

await admin`insert into tenants (tenant_id, name) values ('acme', 'Acme'), ('globex', 'Globex')`;

interface Given {
  readonly expiresInDays?: number;
  readonly archived?: boolean;
  readonly sourceId?: string;
}

async function addRecord({ expiresInDays = -1, archived = true, sourceId = randomUUID() }: Given = {}) {
  const id = randomUUID();
  await admin`
    insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector, source_id,
      encryption_key_id, created_at, archived_at, expires_at)
    values ('acme', ${id}, ${day}, '\\x00', '{}', 'v1', 'd', ${sourceId}, ${randomUUID()}, ${day}::date + interval '1 hour',
      ${archived ? new Date() : null}, now() + ${`${expiresInDays} days`}::interval)`;
  return { id, sourceId };
}

async function addHold(scope: unknown): Promise<void> {
  await admin`
    insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
    values ('acme', ${randomUUID()}, 'case', 'r', ${admin.json(scope as never)}, 'test')`;
}

const drop = (sql = jobs, asOf?: string) =>
  asOf === undefined
    ? sql`select ops.drop_partition('storage_records', ${partition})`
    : sql`select ops.drop_partition('storage_records', ${partition}, ${asOf}::timestamptz)`;
const isThere = async (): Promise<boolean> =>
  (await admin`select from pg_class where relname = ${partition}`).length === 1;

beforeEach(async () => {
  await admin`update ops.deployment set runs_ahead = false`;
  await admin`delete from legal_holds`;
  await admin`delete from data_retention_policies`;
  await admin.unsafe(`drop table if exists ${partition}`);
  await admin`select ops.make_partition('storage_records', 'day', ${day})`;
  // A record that may be deleted, of another tenant than the one that must stay.
  await addRecord();
});

describe('the cross-tenant role drops a partition', () => {
  it('when all of its records are expired, archived and under no hold', async () => {
    await drop();
    expect(await isThere()).toBe(false);
  });

  it('but not of the audit trail or any other table', async () => {
    const parts = await admin<{ parent: string; name: string }[]>`
      select i.inhparent::regclass::text as parent, c.relname as name from pg_inherits i
        join pg_class c on c.oid = i.inhrelid where c.relname ~ '_[dm][0-9]{6,8}$' and c.relkind = 'r'
         and i.inhparent <> 'storage_records'::regclass`;
    expect(parts.map(({ parent }) => parent)).toContain('audit_logs');
    for (const { parent, name } of parts)
      await expect(jobs`select ops.drop_partition(${parent}, ${name})`).rejects.toMatchObject({
        code: '42501',
      });
    const name = parts[0]?.name ?? '';
    await expect(jobs`select ops.drop_partition('storage_records', ${name})`).rejects.toMatchObject({
      code: '22023',
    });
    expect(await admin`select from pg_class where relname = ${name}`).toHaveLength(1);
  });

  it('but never that of kept records, and no table that is not a partition', async () => {
    for (const name of ['storage_records_kept', 'tenants', 'storage_records', partition.toUpperCase(), null])
      await expect(jobs`select ops.drop_partition('storage_records', ${name})`).rejects.toMatchObject({
        code: '22023',
      });
    await expect(jobs`select ops.drop_partition(null, ${partition})`).rejects.toMatchObject({
      code: '42501',
    });
  });

  it.each([
    ['has not expired', () => addRecord({ expiresInDays: 1 })],
    ['is not archived', () => addRecord({ archived: false })],
    ['is under a hold of everything', () => addRecord().then(() => addHold({}))],
    [
      'is under a hold of its kind',
      () => addRecord().then(() => addHold({ data_types: ['storage_records'] })),
    ],
    [
      'is under a hold that names it',
      () => addRecord().then(({ id }) => addHold({ record_ids: [id.toUpperCase()] })),
    ],
    [
      'is under a hold that names its mapping',
      () => addRecord().then(({ sourceId }) => addHold({ record_ids: [sourceId] })),
    ],
    [
      'is under a hold of its time',
      () => addHold({ created_from: `${day}T00:30:00Z`, created_to: `${day}T01:00:00Z` }),
    ],
    [
      'must be kept until a manual deletion, by its tenant’s policy',
      () => admin`
        insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days, auto_delete)
        values ('acme', ${randomUUID()}, 'storage_records', 30, false)`,
    ],
  ])('but not while one record of it %s', async (_why, keep: () => Promise<unknown>) => {
    await keep();
    await expect(drop()).rejects.toMatchObject({ code: '55006' });
    expect(await isThere()).toBe(true);
  });

  it('but not while a record of it is under a hold of the orchestration that it was mapped from, or of that one’s job', async () => {
    const [orchestration, job] = [randomUUID(), randomUUID()];
    const { sourceId } = await addRecord();
    await admin`
      insert into orchestration_requests (tenant_id, request_id, job_id, content, content_mac, encryption_key_id, content_type,
        policy_bundle, routing_plan_id, coverage_rule, environment, expires_at)
      values ('acme', ${orchestration}, ${job}, '', '', ${randomUUID()}, 'text', 'p', ${randomUUID()}, '{}', 'prod', now())`;
    await admin`
      insert into mapper_requests (tenant_id, request_id, orchestration_request_id, detector, source_data, encryption_key_id,
        model_version, expires_at)
      values ('acme', ${sourceId}, ${orchestration}, 'd', '', ${randomUUID()}, 'v1', now())`;
    for (const id of [orchestration, job]) {
      await admin`delete from legal_holds`;
      await addHold({ record_ids: [id] });
      await expect(drop()).rejects.toMatchObject({ code: '55006' });
    }
    await admin`delete from legal_holds`;
    await drop();
    expect(await isThere()).toBe(false);
  });

  it('if existing holds and policies do not cover it', async () => {
    await addHold({ data_types: ['mappings'] });
    await addHold({ record_ids: [randomUUID()] });
    await addHold({ created_from: `${day}T01:00:01Z` });
    await addHold({ created_to: `${day}T00:59:59Z` });
    await admin`update legal_holds set released_at = now() where scope->'data_types' is null`;
    await admin`
      insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values ('globex', ${randomUUID()}, 'case', 'r', '{}', 'test')`;
    await admin`
      insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days, auto_delete)
      values ('acme', ${randomUUID()}, 'mappings', 30, false)`;
    await drop();
    expect(await isThere()).toBe(false);
  });

  it('by the database’s clock, not by the time it passes; as of a later time only if the owner allows it', async () => {
    await addRecord({ expiresInDays: 1 });
    const later = new Date(Date.now() + 2 * 86_400_000).toISOString();
    await expect(drop(jobs, later)).rejects.toMatchObject({ code: '55006' });
    await expect(jobs`update ops.deployment set runs_ahead = true`).rejects.toMatchObject({ code: '42501' });
    await admin`update ops.deployment set runs_ahead = true`;
    await expect(drop(jobs, new Date().toISOString())).rejects.toMatchObject({ code: '55006' });
    await drop(jobs, later);
    expect(await isThere()).toBe(false);
  });

  it('and no hold can be placed between its check of the holds and its commit', async () => {
    await jobs.begin(async (transaction) => {
      await drop(transaction as unknown as typeof jobs);
      const placing = admin.begin(async (other) => {
        await other`set local lock_timeout = '200ms'`;
        await other`
          insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
          values ('acme', ${randomUUID()}, 'case', 'r', '{}', 'test')`;
      });
      await expect(placing).rejects.toMatchObject({ code: '55P03' });
    });
  });
});

describe('no other role', () => {
  it('drops or makes a partition, or reads kept records', async () => {
    const requests = open(databases.core.app);
    for (const statement of [
      `select ops.drop_partition('storage_records', '${partition}')`,
      `select ops.make_partition('storage_records', 'day', current_date + 100)`,
      `select ops.index_partition('storage_records')`,
      `select * from ops.kept_records(current_date, now(), 1)`,
    ])
      await expect(requests.unsafe(statement)).rejects.toMatchObject({ code: '42501' });
    await requests.end();
  });
});

describe('a partition is made', () => {
  it.each([
    ['storage_records', 'month', jobs],
    ['audit_logs', 'day', jobs],
    ['usage_records', 'day', billingJobs],
  ])('of %s never by the %s', async (table, grain, sql) => {
    await expect(sql`select ops.make_partition(${table}, ${grain}, '2031-05-01')`).rejects.toMatchObject({
      code: '22023',
    });
  });

  it.each([
    ['storage_records', 'day', jobs],
    ['audit_logs', 'month', jobs],
    ['usage_records', 'month', billingJobs],
  ])('of %s by the %s, once', async (table, grain, sql) => {
    const make = () => sql`select ops.make_partition(${table}, ${grain}, '2031-05-01') as made`;
    expect([await make(), await make()]).toEqual([[{ made: true }], [{ made: false }]]);
  });

  it.each([
    ['storage_records', 'day', admin, jobs],
    ['usage_records', 'month', billingAdmin, billingJobs],
  ])(
    'of %s, or given up after a second: meanwhile its reads wait, and no longer',
    async (table, grain, holder, sql) => {
      const [holding, reading] = await Promise.all([holder.reserve(), holder.reserve()]);
      try {
        await holding`begin`;
        await holding.unsafe(`select from ${table} limit 1`);
        const begun = performance.now();
        const making = expect(
          sql`select ops.make_partition(${table}, ${grain}, '2032-05-01')`,
        ).rejects.toMatchObject({ code: '55P03' });
        await expect
          .poll(
            () =>
              holder`select 1 as waits from pg_locks where not granted and relation = to_regclass(${table})`,
          )
          .toEqual([{ waits: 1 }]);
        await reading.unsafe(`select from ${table} limit 1`);
        expect(performance.now() - begun).toBeLessThan(3_000);
        await making;
        await holding`rollback`;
      } finally {
        holding.release();
        reading.release();
      }
    },
  );

  it.each([null, 'year', ''])('never with an unknown grain: %s', async (grain) => {
    await expect(jobs`select ops.make_partition('audit_logs', ${grain}, '2031-05-01')`).rejects.toMatchObject(
      {
        code: '22023',
      },
    );
  });
});

interface PlanNode {
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** The indexes that a plan uses for the day's partition; 'none' without an index. */
function indexesOf(node: PlanNode): string[] {
  const below = (node.Plans ?? []).flatMap(indexesOf);
  return node['Relation Name'] === partition ? [node['Index Name'] ?? 'none', ...below] : below;
}

/** Lists the day's records of a model with the list's own SQL. Returns their number and the indexes that it uses. */
async function listByModel(model: string): Promise<{ found: number; indexes: string[] }> {
  const sql = openPool({ url: databases.core.app, max: 1, applicationName: 'test', prepare: false });
  const indexes: string[] = [];
  const statement = async (text: string, parameters: readonly unknown[] = []) => {
    const whole = `with scope as materialized (select set_config('app.current_tenant_id', $1, true) as tenant_id) ${text}`;
    const values = [
      'acme',
      ...parameters.map((value) => (Array.isArray(value) ? `{${value.join()}}` : value)),
    ];
    const [plan] = await sql.unsafe(`explain (format json) ${whole}`, values as never[]);
    indexes.push(...indexesOf(plan?.['QUERY PLAN'][0].Plan));
    return sql.unsafe(whole, values as never[]);
  };
  const call = {
    now: new Date(),
    route: 'records-list',
    principal: { tenantId: 'acme' },
    services: { settings: { API_KEY_PEPPER: 'test' } },
    tenant: { statement },
  } as unknown as Call;
  const query = recordsQuery.parse({
    model_version: model,
    from: `${day}T00:00:00Z`,
    to: `${day}T23:59:59Z`,
  });
  const reply = await listRecords(call, query, '/records');
  await sql.end();
  const page = JSON.parse(textOf(reply) ?? '') as { items: unknown[] };
  return { found: page.items.length, indexes };
}

/** The names of a plan's indexes. */
function allIndexesOf(node: PlanNode): string[] {
  const own = node['Index Name'] === undefined ? [] : [node['Index Name']];
  return [...own, ...(node.Plans ?? []).flatMap(allIndexesOf)];
}

describe('a kept plan', () => {
  it('reads a record by its primary key, also if it was made while the partitions were empty', async () => {
    const sql = openPool({ url: databases.core.app, max: 1, applicationName: 'test', prepare: false });
    let read: string | undefined;
    const call = {
      now: new Date(),
      tenant: {
        statement: (text: string) => {
          read ??= text;
          return Promise.resolve([{}]);
        },
      },
    } as unknown as Call;
    await findRecordRow(call, newId(call.now), RECORD_COLUMNS);
    const scope = `with scope as materialized (select set_config('app.current_tenant_id', $1, true) as tenant_id)`;
    const [plan] = await sql.unsafe(`explain (generic_plan, format json) ${scope} ${read ?? ''}`).simple();
    await sql.end();
    const indexes = allIndexesOf(plan?.['QUERY PLAN'][0].Plan);
    expect(indexes).toHaveLength(2);
    for (const index of indexes) expect(index).toMatch(/_pkey$/);
  });
});

describe('a new index of a partitioned table', () => {
  it('is built in one filled partition after the other until it is complete', async () => {
    await admin.unsafe(
      'set role comply_owner; create index storage_records_test on only storage_records (tenant_id, detector); reset role',
    );
    const [counted] = await admin`
      select count(*)::int as n from pg_inherits where inhparent = 'storage_records'::regclass`;
    const built: unknown[] = [];
    for (;;) {
      const [row] = await jobs`select ops.index_partition('storage_records') as name`;
      if (row?.['name'] == null) break;
      built.push(row['name']);
    }
    expect(built).toHaveLength(Number(counted?.['n']));
    expect(built).toContain('storage_records_kept');
    const [index] = await admin`
      select indisvalid as valid from pg_index where indexrelid = 'storage_records_test'::regclass`;
    expect(index?.['valid']).toBe(true);
  });

  it('serves the list by model', async () => {
    await admin`
      insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector, source_id,
        encryption_key_id, created_at, expires_at)
      select 'acme', gen_random_uuid(), ${day}, '\\x00', '{}', case when n % 5000 = 0 then 'rare' else 'usual' end, 'd',
             gen_random_uuid(), gen_random_uuid(), ${day}::date + n * interval '1 second', now() + interval '1 day'
        from generate_series(1, 20000) n`;
    await admin.unsafe(`analyze ${partition}`);
    const [part] = await admin`
      select x.relname as name from pg_inherits i join pg_index own on own.indexrelid = i.inhrelid
        join pg_class x on x.oid = own.indexrelid
       where i.inhparent = 'storage_records_model'::regclass and own.indrelid = ${partition}::regclass`;
    const [valid] = await admin`
      select indisvalid as valid from pg_index where indexrelid = 'storage_records_model'::regclass`;
    const { found, indexes } = await listByModel('rare');
    expect([valid?.['valid'], found, indexes]).toEqual([true, 4, [part?.['name']]]);
  });
});
