import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { expiringTables } from '../functions/expiring-tables.ts';
import { findExistingAnalyses } from '../shared/domains/analysis/find-existing.ts';
import { orchestrationOfMappingSql } from '../shared/domains/mapping/ids.ts';
import { findExistingMappings } from '../shared/domains/mapping/find-existing.ts';
import { findExistingOrchestrations } from '../shared/domains/orchestration/find-existing.ts';
import { releaseAbandoned } from '../shared/domains/billing/abandoned-reservations.ts';
import { resetDueAllowances } from '../shared/domains/billing/free-tier.ts';
import { recordUsage } from '../shared/domains/billing/record-usage.ts';
import { rollUpUsage } from '../shared/domains/analytics/roll-up-usage.ts';
import { archiveRecords } from '../shared/domains/records/archive/archive-records.ts';
import { requestForgottenArchives } from '../shared/domains/records/archive/request-archives.ts';
import { bookDeletions, bookLooks } from '../shared/domains/records/blobs/book-blobs.ts';
import { findDueBlobs, findKept } from '../shared/domains/records/blobs/due-blobs.ts';
import { lockBooked } from '../shared/domains/records/blobs/lock-blobs.ts';
import { moveKeptRows } from '../shared/domains/records/expiry/kept-rows.ts';
import { applyChangedPolicies } from '../shared/domains/retention/apply-policies.ts';
import { legalHoldsOver } from '../shared/domains/retention/legal-holds.ts';
import type { DataType } from '../shared/domains/retention/expiry.ts';
import { deleteExpired, WALK_START } from '../shared/domains/retention/delete-expired.ts';
import { inBatch } from '../shared/platform/db/batch-transaction.ts';
import { findNew } from '../shared/platform/consume/same-event.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { utcDay } from '../shared/platform/time/clock.ts';
import { deleteFromOutbox, readOutbox } from '../shared/platform/writes/outbox.ts';
import { startTestApp } from './harness/app.ts';
import { measuring, type Measured } from './harness/measured-database.ts';

// A table that is filled since this morning has no statistics: the planner then guesses, and a batch that joins with it may read
// all of it. Here every such table has 100,000 rows and no statistics, and each batch concerns 100 of them.

const OWNERS = [findExistingAnalyses, findExistingMappings, findExistingOrchestrations];
const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { core, billing, analytics } = app.admin;
const ROWS = 100_000;
const BATCH = 100;
/** Rows that a scan of a table may look at: those of the batch, from a few partitions. */
const ROWS_SCANNED_MAX = 10 * BATCH;
/** Pages that one row may cost: its look-up, or with its change in each index of the table. */
const PAGES_A_LOOK_UP = 15;
const PAGES_A_CHANGE = 60;
/** Pages that a row may cost which is only judged, where it lies. */
const PAGES_A_JUDGEMENT = 2;
const now = new Date();
const today = utcDay(now);

/** The ids of the rows that batches concern; a record's tells its day, as those that this service makes do. */
const ids = Array.from({ length: BATCH }, () => newId(now));
const sources = Array.from({ length: BATCH }, () => randomUUID());

interface Filled {
  readonly sql: typeof core;
  readonly table: string;
  readonly partition?: string;
  /** Columns and their expressions; `n` counts from 1, the batch's rows come last, `ids` and `sources` are their ids. */
  readonly columns: Readonly<Record<string, string>>;
}

const ID = 'case when n > rows - batch then ids[n - rows + batch] else gen_random_uuid() end';
const SOURCE = 'case when n > rows - batch then sources[n - rows + batch] else gen_random_uuid() end';
/** Two batches' worth of rows are other tenants'; those of the last are expired, and old. */
const TENANT = `case when n > rows - batch then 'globex' when n > rows - 2 * batch then 'initech' else 'acme' end`;
const EXPIRES = `case when n > rows - batch then now() - interval '1 day' else now() + interval '90 days' end`;
const CREATED = `now() - case when n > rows - batch then interval '1 hour' else interval '1 minute' end`;
const KEY = 'gen_random_uuid()';

const FILLED: readonly Filled[] = [
  {
    sql: core,
    table: 'storage_records',
    partition: `storage_records_d${today.replaceAll('-', '')}`,
    columns: {
      tenant_id: TENANT,
      id: ID,
      partition_day: 'current_date',
      source_data: `decode(repeat('00', 300), 'hex')`,
      mapped_data: `'{"taxonomy": []}'::jsonb`,
      model_version: `'v1'`,
      detector: `'d'`,
      source_id: SOURCE,
      encryption_key_id: KEY,
      created_at: CREATED,
      expires_at: EXPIRES,
    },
  },
  {
    sql: core,
    table: 'ops.blobs',
    columns: {
      tenant_id: TENANT,
      container_name: `'mapper-outputs'`,
      blob_name: `'mappings/' || ${TENANT} || '/2026/01/01/' || ${ID} || '.json'`,
      retention_class: `'mapping_results'`,
      access_tier: `'Hot'`,
      sha256: `'\\x00'`,
      bytes: '1',
      created_at: CREATED,
      tier_changed_at: CREATED,
      next_check_at: EXPIRES,
      delete_after: EXPIRES,
    },
  },
  {
    sql: core,
    table: 'mapper_requests',
    columns: {
      tenant_id: TENANT,
      request_id: SOURCE,
      detector: `'d'`,
      source_data: `'\\x00'`,
      encryption_key_id: KEY,
      model_version: `'v1'`,
      created_at: CREATED,
      expires_at: EXPIRES,
    },
  },
  {
    sql: core,
    table: 'mapper_responses',
    columns: {
      tenant_id: TENANT,
      request_id: SOURCE,
      record_id: ID,
      taxonomy: `'[]'`,
      scores: `'{}'`,
      confidence: '1',
      processing_time_ms: '1',
      model_used: `'m'`,
      fingerprint: `'\\x00'`,
      created_at: CREATED,
    },
  },
  {
    sql: core,
    table: 'orchestration_requests',
    columns: {
      tenant_id: TENANT,
      request_id: ID,
      content: `'\\x00'`,
      content_mac: `'\\x00'`,
      encryption_key_id: KEY,
      content_type: `'text'`,
      policy_bundle: `'p'`,
      routing_plan_id: KEY,
      coverage_rule: `'{}'`,
      environment: `'prod'`,
      created_at: CREATED,
      expires_at: EXPIRES,
    },
  },
  {
    sql: core,
    table: 'analysis_requests',
    columns: {
      tenant_id: TENANT,
      request_id: ID,
      period: `'{}'`,
      metrics: `'{}'`,
      created_at: CREATED,
      expires_at: EXPIRES,
    },
  },
  {
    sql: core,
    table: 'analysis_metrics',
    columns: {
      tenant_id: TENANT,
      id: ID,
      metric_name: `'m' || n`,
      metric_value: '1',
      time_period: CREATED,
      created_at: CREATED,
      expires_at: EXPIRES,
    },
  },
  {
    sql: core,
    table: 'ops.outbox',
    columns: {
      // As ids of version 7 would, those of old rows come first.
      id: `case when n > rows - batch then ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid else ${ID} end`,
      tenant_id: TENANT,
      events: `'[{"data": {"reservation_id": "x"}}]'`,
      created_at: CREATED,
    },
  },
  {
    sql: billing,
    table: 'ops.usage_reservations',
    columns: {
      tenant_id: TENANT,
      reservation_id: ID,
      usage_type: `'api_calls'`,
      amount: '1',
      created_at: `now() - case when n > rows - batch then interval '8 days' else interval '1 minute' end`,
    },
  },
  {
    sql: billing,
    table: 'free_tier_usage',
    columns: {
      tenant_id: `case when n > rows - 2 * batch then ${TENANT} else 'tenant-' || n end`,
      usage_type: `case when n = rows then 'api_calls' else 'type-' || n end`,
      usage_limit: '1000',
      anchor_date: 'current_date',
      last_reset_at: `now() - interval '1 month'`,
      next_reset_at: `now() + case when n > rows - batch or n <= rows - 2 * batch then interval '1 month' else interval '-1 day' end`,
    },
  },
  {
    sql: billing,
    table: 'usage_records',
    partition: `usage_records_m${today.slice(0, 7).replace('-', '')}`,
    columns: {
      tenant_id: TENANT,
      id: ID,
      event_source: `'s'`,
      event_id: `(${ID})::text`,
      usage_type: `'api_calls'`,
      usage_amount: '1',
      usage_unit: `'count'`,
      occurred_at: 'now()',
      billing_period_start: 'now()',
      billing_period_end: 'now()',
    },
  },
  {
    sql: analytics,
    table: 'ops.consumed_events',
    columns: { tenant_id: TENANT, event_source: `'s'`, event_id: `(${ID})::text` },
  },
  {
    sql: core,
    table: 'audit_logs',
    partition: `audit_logs_m${today.slice(0, 7).replace('-', '')}`,
    columns: {
      tenant_id: TENANT,
      id: ID,
      event_source: `'s'`,
      event_id: `(${ID})::text`,
      action: `'a'`,
      resource_type: `'r'`,
      canonical: `'\\x00'`,
      leaf_hash: `'\\x00'`,
      created_at: 'now()',
    },
  },
];

async function fill({ sql, table, partition = table, columns }: Filled): Promise<void> {
  await sql.unsafe(`alter table ${partition} set (autovacuum_enabled = off)`);
  await sql.unsafe(
    `insert into ${table} (${Object.keys(columns).join(', ')})
     select ${Object.values(columns).join(', ')}
       from (select ${ROWS} as rows, ${BATCH} as batch, $1::uuid[] as ids, $2::uuid[] as sources) g, generate_series(1, ${ROWS}) n`,
    [ids, sources],
  );
}

beforeAll(async () => {
  await core`insert into tenants (tenant_id, name) values ('initech', 'Initech')`;
  for (const filled of FILLED) await fill(filled);
}, 300_000);

/** What a batch's statements read; the batch runs on this database. */
function expectLookUps(measured: readonly Measured[], pagesARow: number, rows = BATCH): void {
  expect(measured.length).toBeGreaterThan(0);
  const greedy = measured.filter(
    ({ pages, rowsScanned }) => pages > rows * pagesARow || rowsScanned > ROWS_SCANNED_MAX,
  );
  expect(greedy).toEqual([]);
}

it('no table here has statistics', async () => {
  for (const { sql, table, partition = table } of FILLED) {
    const [row] = await sql.unsafe(
      `select (select count(*)::int from pg_statistic where starelid = c.oid) as statistics, reltuples::int as reltuples,
              pg_relation_size(oid) / 8192 as pages from pg_class c where oid = $1::regclass`,
      [partition],
    );
    expect([table, row?.['statistics'], row?.['reltuples']]).toEqual([table, 0, -1]);
    expect(Number(row?.['pages'])).toBeGreaterThan(500);
  }
});

describe('a batch reads no more than its rows’ look-ups', () => {
  const { crossTenant } = app.services;
  const publisher = { publish: () => undefined };

  it.each<{ name: string; scope: { data_types?: DataType[]; created_from?: string } }>([
    { name: 'of anything', scope: {} },
    { name: 'of records', scope: { data_types: ['storage_records'] } },
    { name: 'of mappings', scope: { data_types: ['mappings'] } },
    { name: 'of orchestrations', scope: { data_types: ['orchestrations'] } },
    { name: 'of analyses', scope: { data_types: ['analyses'] } },
    { name: 'of metrics', scope: { data_types: ['analysis_metrics'] } },
    { name: 'of a time', scope: { created_from: '2020-01-01T00:00:00Z' } },
  ])('that names ids $name in a legal hold', async ({ scope }) => {
    const { database, measured } = measuring(crossTenant.core);
    const faults = await database.transaction((transaction) =>
      Promise.resolve(
        legalHoldsOver(expiringTables).check?.(
          { name: 'n', reason: 'r', scope: { ...scope, record_ids: ids } },
          { call: { tenant: { tenantId: 'globex' } } as never, transaction },
        ),
      ),
    );
    expect(faults).toEqual([]);
    expectLookUps(measured, PAGES_A_LOOK_UP);
  });

  it('that asks for forgotten archives', async () => {
    const { database, measured } = measuring(crossTenant.core);
    const services = { crossTenant: { ...crossTenant, core: database }, publisher };
    expect(await requestForgottenArchives(services, now, () => 1000)).toBe(BATCH);
    expectLookUps(measured, PAGES_A_CHANGE);
  });

  it('that archives records', async () => {
    const { database, measured } = measuring(crossTenant.core);
    const services = { ...app.services, crossTenant: { ...crossTenant, core: database }, publisher };
    const wanted = ids.map((id) => ({ tenant_id: 'globex', record_id: id }));
    expect((await archiveRecords(services, orchestrationOfMappingSql, wanted, now)).archived).toBe(BATCH);
    expectLookUps(measured, PAGES_A_CHANGE);
  });

  it('that finds blobs that are due, writes their tier down and what was deleted', async () => {
    const { database, measured } = measuring(crossTenant.core);
    const due = await findDueBlobs(database, now, 2 * BATCH);
    expect(due).toHaveLength(BATCH);
    expectLookUps(measured, PAGES_A_LOOK_UP);
    await database.transaction(async (transaction) => {
      expect(await lockBooked(transaction, due)).toHaveLength(BATCH);
      await findKept(transaction, due);
    });
    const nextCheckAt = now;
    await bookLooks(
      database,
      due.map((blob) => ({ blob, tier: 'Cool', nextCheckAt, missing: true })),
      now,
    );
    const booked = await inBatch(database, (transaction) => bookDeletions(transaction, due, now));
    expect(booked).toHaveLength(BATCH);
    expectLookUps(measured, PAGES_A_CHANGE);
  });

  it.each(expiringTables)('that deletes what has expired: $table', async (of) => {
    const { database, measured } = measuring(crossTenant.core);
    const { deleted } = await deleteExpired(database, of, now, WALK_START);
    expect(deleted).toBe(BATCH);
    expectLookUps(measured, PAGES_A_CHANGE);
  });

  it.each(expiringTables)(
    'that applies a policy to what was recorded before: $table',
    async ({ dataType }) => {
      await core`
      insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days)
      values ('initech', ${randomUUID()}, ${dataType}, 200)`;
      const { database, measured } = measuring(crossTenant.core);
      const applied = await applyChangedPolicies(database, expiringTables, () => 1000);
      expect(applied).toMatchObject({ applied: 1, changed: BATCH });
      expectLookUps(measured, 2 * PAGES_A_CHANGE);
    },
  );

  it('that moves a day’s held records before its partition is dropped, and the drop itself', async () => {
    await core`update storage_records set archived_at = now() where archived_at is null`;
    const held = await core`
      select id from storage_records where tenant_id = 'acme' and partition_day = current_date limit ${BATCH}`;
    await core`
      insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
      values ('acme', ${randomUUID()}, 'n', 'r', ${core.json({ record_ids: held.map((row) => String(row['id'])) })}, 't')`;
    const { database, measured } = measuring(crossTenant.core);
    const cutoff = new Date(now.getTime() + 100 * 86_400_000);
    expect(await moveKeptRows(database, today, cutoff, () => 1000)).toEqual({ moved: BATCH, finished: true });
    expectLookUps(measured.splice(0), 2 * PAGES_A_CHANGE);
    // The drop judges each row of the day.
    const [{ rows } = { rows: 0 }] = await core<{ rows: number }[]>`
      select count(*)::int as rows from storage_records where partition_day = ${today}`;
    await database.query(`select ops.drop_partition('storage_records', $1, $2)`, [
      `storage_records_d${today.replaceAll('-', '')}`,
      cutoff,
    ]);
    expectLookUps(measured, PAGES_A_JUDGEMENT, rows);
  });

  it('that relays the outbox', async () => {
    const { database, measured } = measuring(crossTenant.core);
    const before = new Date(now.getTime() - 600_000);
    const rows = await readOutbox(database, {
      before,
      afterId: '00000000-0000-0000-0000-000000000000',
      limit: BATCH,
    });
    expect(rows).toHaveLength(BATCH);
    await deleteFromOutbox(
      { ...crossTenant, core: database },
      rows.map(({ id }) => ({ id, database: 'core' as const })),
    );
    expectLookUps(measured, PAGES_A_LOOK_UP);
  });

  it('that gives back abandoned reservations', async () => {
    const own = [crossTenant.core, crossTenant.billing].map(measuring);
    const databases = { ...crossTenant, core: own[0]?.database, billing: own[1]?.database };
    await core`delete from ops.outbox`;
    const { released } = await releaseAbandoned({ crossTenant: databases as never }, OWNERS, now, () => true);
    expect(released).toBe(BATCH);
    expectLookUps(
      own.flatMap(({ measured }) => measured),
      PAGES_A_CHANGE,
    );
  });

  it('that resets allowances', async () => {
    const { database, measured } = measuring(crossTenant.billing);
    expect(await resetDueAllowances(database, now)).toBe(BATCH);
    expectLookUps(measured, PAGES_A_CHANGE);
  });

  it('that records usage', async () => {
    await billing`
      insert into ops.usage_reservations (tenant_id, reservation_id, usage_type, amount, created_at)
      select 'globex', id, 'api_calls', 1, now() from unnest(${ids}::uuid[]) id`;
    const { database, measured } = measuring(crossTenant.billing);
    const usage = ids.map((id, n) => ({
      tenant_id: 'globex',
      id: randomUUID(),
      source: 's',
      event_id: `new-${n}`,
      at: now.toISOString(),
      user_id: '',
      subscription_id: null,
      usage_type: 'api_calls',
      amount: 1,
      unit: 'count',
      resource_type: null,
      resource_id: null,
      reservation_id: id,
    }));
    await recordUsage(database, usage, now);
    expectLookUps(measured, PAGES_A_CHANGE);
    expect(
      await billing`select from ops.usage_reservations where tenant_id = 'globex' and reservation_id = any(${ids})`,
    ).toHaveLength(0);
  });

  it('that rolls usage up', async () => {
    const { database, measured } = measuring(crossTenant.analytics);
    const usage = ids.map((id) => ({
      tenant_id: 'globex',
      source: 's',
      event_id: id,
      at: now.toISOString(),
      usage_type: 'api_calls',
      amount: 1,
      unit: 'count',
    }));
    await rollUpUsage(database, usage, now);
    expectLookUps(measured, PAGES_A_CHANGE);
  });

  it.each([
    ['core', 'audit_logs', 'created_at'],
    ['billing', 'usage_records', 'occurred_at'],
  ] as const)('that looks for known events: %s.%s', async (name, table, timeColumn) => {
    const { database, measured } = measuring(crossTenant[name]);
    const events = ids.map((id) => ({
      tenant_id: 'globex',
      source: 's',
      event_id: id,
      at: now.toISOString(),
    }));
    expect(await findNew(database, { table, timeColumn }, events)).toEqual([]);
    expectLookUps(measured, PAGES_A_LOOK_UP);
  });
});
