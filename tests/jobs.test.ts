import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runJob, type Job } from '../shared/platform/jobs/job.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex, operator } = app.keys;
const DAY_MS = 86_400_000;

const runsOf = (job: string, query = '') =>
  app.request('GET', `/api/v1/platform/jobs/${job}/runs?${query}`, { key: operator });
const start = (job: string, body: unknown = {}, key = operator, headers: Record<string, string> = {}) =>
  app.request('POST', `/api/v1/platform/jobs/${job}/runs`, { key, body, headers });

/** A test's own job, which runs like the app's. */
function job(name: string, run: Job['run']): Job {
  return { name, budgetMs: 10_000, run };
}

describe('the jobs', () => {
  it('are listed with their schedules, and the last run of each', async () => {
    expect((await start('partitions-make')).status).toBe(200);
    const { body } = await app.request('GET', '/api/v1/platform/jobs', { key: operator });
    const names = body.items.map((item: { job: string }) => item.job).sort();
    const files = readdirSync(path.join(import.meta.dirname, '../functions/timer'));
    expect(names).toEqual(files.map((file) => path.basename(file, '.ts')).sort());
    const made = body.items.find((item: { job: string }) => item.job === 'partitions-make');
    expect(made).toMatchObject({ running: false, last_run: { status: 'completed' } });
    expect(made.last_run.triggered_by).toMatch(/^key:/);
  });

  it('need an operator', async () => {
    const answers = await Promise.all([
      app.request('GET', '/api/v1/platform/jobs', { key: acme.owner }),
      runsOf('outbox-relay').then(() =>
        app.request('GET', '/api/v1/platform/jobs/outbox-relay/runs', { key: acme.owner }),
      ),
      start('outbox-relay', {}, acme.owner),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
  });

  it('are 404 if unknown, and an invalid instant is 400', async () => {
    expect((await start('no-such-job')).status).toBe(404);
    expect((await runsOf('no-such-job')).status).toBe(404);
    const wrong = await start('outbox-relay', { as_of: 'yesterday', extra: 1 });
    expect([wrong.status, wrong.body.errors.length]).toEqual([400, 2]);
  });

  it('run as of a future moment in local environments only', async () => {
    const ahead = new Date(Date.now() + DAY_MS).toISOString();
    expect((await start('partitions-make', { as_of: ahead })).body).toMatchObject({ status: 'completed' });
    const abroad = await startTestApp({ settings: { DEPLOYMENT_ENVIRONMENT: 'prod' } });
    const answer = await abroad.request('POST', '/api/v1/platform/jobs/partitions-make/runs', {
      key: abroad.keys.operator,
      body: { as_of: ahead },
    });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([400, '/as_of']);
  });

  it('run once under an idempotency key', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const first = await start('outbox-relay', {}, operator, headers);
    const second = await start('outbox-relay', {}, operator, headers);
    expect(second.body.run_id).toBe(first.body.run_id);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
  });
});

describe('a run', () => {
  it('does not overlap another one, which is stored as skipped', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let entered = (): void => undefined;
    const inside = new Promise<void>((resolve) => (entered = resolve));
    const slow = job('test-overlap', async () => {
      entered();
      await held;
      return 'completed';
    });
    const first = runJob(app.services, slow, { triggeredBy: 'test' });
    await inside;
    const second = await runJob(app.services, slow, { triggeredBy: 'test' });
    expect(second.status).toBe('skipped');
    release();
    expect((await first).status).toBe('completed');
    expect((await runJob(app.services, slow, { triggeredBy: 'test' })).status).toBe('completed');
  });

  it('that fails is stored, keeps its saved position, and the next one continues there', async () => {
    const { z } = await import('zod');
    const seen: number[] = [];
    let failing = true;
    const counting = job('test-failure', async (run) => {
      const at = (await run.position(z.object({ n: z.number() })))?.n ?? 0;
      for (let n = at + 1; n <= 4; n++) {
        if (failing && n === 3) throw new Error('secret words');
        seen.push(n);
        await run.savePosition({ n });
        run.progress.examined += 1;
      }
      return 'completed';
    });
    await expect(runJob(app.services, counting, { triggeredBy: 'test' })).rejects.toThrow('secret words');
    const [failed] = await app.admin.core`select * from retention_runs where job = 'test-failure'`;
    expect(failed).toMatchObject({ status: 'failed', examined: '2' });
    expect(JSON.stringify(failed)).not.toContain('secret words');
    failing = false;
    expect(await runJob(app.services, counting, { triggeredBy: 'test' })).toMatchObject({
      status: 'completed',
      examined: 2,
    });
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('whose process died is stored as failed by the next one', async () => {
    await app.admin.core`
      insert into retention_runs (run_id, job, as_of, started_at, triggered_by)
      values (${randomUUID()}, 'outbox-relay', now() - interval '1 day', now() - interval '1 day', 'timer')`;
    expect((await start('outbox-relay')).status).toBe(200);
    const [dead] = await app.admin.core`
      select status from retention_runs where job = 'outbox-relay' and started_at < now() - interval '1 hour'`;
    expect(dead?.['status']).toBe('failed');
  });
});

describe('free-tier-reset', () => {
  const allowance = async (type: string) => {
    const [row] = await app.admin.billing`
      select current_usage::float8 as used, reserved::float8 as reserved,
             to_char(last_reset_at at time zone 'UTC', 'YYYY-MM-DD') as started,
             to_char(next_reset_at at time zone 'UTC', 'YYYY-MM-DD') as ends
        from free_tier_usage where tenant_id = 'globex' and usage_type = ${type}`;
    return row;
  };
  const ended = (type: string) => app.admin.billing`
    select to_char(period_start at time zone 'UTC', 'YYYY-MM-DD') as start, used::float8 as used
      from ops.free_tier_periods where tenant_id = 'globex' and usage_type = ${type} order by period_start`;
  const insert = (type: string, period: string, anchor: string, last: string, next: string) => app.admin
    .billing`
    insert into free_tier_usage (tenant_id, usage_type, reset_period, current_usage, reserved, usage_limit, anchor_date,
                                 last_reset_at, next_reset_at)
    values ('globex', ${type}, ${period}, 9, 2, 10, ${anchor}, ${`${last}T00:00:00Z`}, ${`${next}T00:00:00Z`})`;

  it('stores each missed period, keeps the anchor day, and resets nothing twice', async () => {
    await insert('from_31_january', 'monthly', '2026-01-31', '2026-01-31', '2026-02-28');
    const asOf = { as_of: '2026-04-30T12:00:00Z' };
    // Other allowances of the tenant are not due at that time.
    expect((await start('free-tier-reset', asOf)).body).toMatchObject({ status: 'completed' });
    expect(await allowance('from_31_january')).toMatchObject({
      used: 0,
      reserved: 2,
      started: '2026-04-30',
      ends: '2026-05-31',
    });
    const periods = [
      { start: '2026-01-31', used: 9 },
      { start: '2026-02-28', used: 0 },
      { start: '2026-03-31', used: 0 },
    ];
    expect(await ended('from_31_january')).toEqual(periods);
    await app.admin.billing`
      update free_tier_usage set current_usage = 5 where usage_type = 'from_31_january'`;
    expect((await start('free-tier-reset', asOf)).status).toBe(200);
    expect(await allowance('from_31_january')).toMatchObject({ used: 5 });
    expect(await ended('from_31_january')).toEqual(periods);
  });

  it.each([
    ['daily', '2026-03-01', '2026-03-02', '2026-03-05', '2026-03-06', 4],
    ['weekly', '2026-02-22', '2026-03-01', '2026-03-01', '2026-03-08', 1],
    ['yearly', '2024-02-29', '2025-02-28', '2026-02-28', '2027-02-28', 2],
  ])('uses the period: %s', async (period, last, next, started, ends, count) => {
    const anchor = last;
    await insert(`a_${period}_one`, period, anchor, last, next);
    await start('free-tier-reset', { as_of: '2026-03-05T10:00:00Z' });
    expect(await allowance(`a_${period}_one`)).toMatchObject({ used: 0, started, ends });
    expect(await ended(`a_${period}_one`)).toHaveLength(count);
  });

  it('is not needed by a request, which begins a due period itself', async () => {
    await app.request('GET', '/api/v1/usage', { key: globex.reader });
    await app.admin.billing`
      update free_tier_usage set current_usage = usage_limit, reserved = 0, last_reset_at = now() - interval '40 days',
             next_reset_at = now() - interval '1 minute', anchor_date = (now() - interval '40 days')::date
       where tenant_id = 'globex' and usage_type = 'api_calls'`;
    const answer = await app.request('POST', '/api/v1/mappings', {
      key: globex.writer,
      body: { detector: 'regex-pii', source_data: 'x', model_version: 'v1' },
    });
    expect(answer.status).toBe(201);
  });
});

describe('partitions-make', () => {
  it('builds a new index in all partitions in one run', async () => {
    await app.admin.core.unsafe(
      'set role comply_owner; create index storage_records_test on only storage_records (tenant_id, detector); reset role',
    );
    const run = await start('partitions-make');
    const [partitions] = await app.admin.core`
      select count(*)::int as n from pg_inherits where inhparent = 'storage_records'::regclass`;
    expect(partitions?.['n']).toBeGreaterThan(1);
    expect(run.body).toMatchObject({ status: 'completed', details: { indexes_built: partitions?.['n'] } });
    const [index] = await app.admin.core`
      select indisvalid as valid from pg_index where indexrelid = 'storage_records_test'::regclass`;
    expect(index?.['valid']).toBe(true);
  });

  it('makes future partitions, and keeps existing ones', async () => {
    const children = async (parent: string) =>
      (
        await app.admin.core`select inhrelid::regclass::text as name from pg_inherits
                             where inhparent = ${parent}::regclass`
      ).map((row) => String(row['name']));
    const asOf = new Date(Date.now() + 200 * DAY_MS);
    await start('partitions-make', { as_of: asOf.toISOString() });
    const day = asOf.toISOString().slice(0, 10).replaceAll('-', '');
    expect(await children('storage_records')).toContain(`storage_records_d${day}`);
    expect(await children('audit_logs')).toContain(`audit_logs_m${day.slice(0, 6)}`);
    const before = (await children('storage_records')).length;
    await start('partitions-make', { as_of: asOf.toISOString() });
    expect(await children('storage_records')).toHaveLength(before);
  });

  it('leaves a table that a long transaction holds to the next run, and makes the others’ partitions', async () => {
    const asOf = { as_of: new Date(Date.now() + 400 * DAY_MS).toISOString() };
    await app.admin.core.begin(async (long) => {
      await long`select from storage_records limit 1`;
      const { body } = await start('partitions-make', asOf);
      expect(body).toMatchObject({ status: 'partial', details: { audit_logs: expect.any(Number) } });
      expect(body.details).not.toHaveProperty('storage_records');
    });
    expect((await start('partitions-make', asOf)).body).toMatchObject({ status: 'completed' });
  });
});

describe('leftovers-sweep', () => {
  it('deletes an idempotent answer after its 24 hours and not before', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const body = { detector: 'regex-pii', source_data: 'x', model_version: 'v1' };
    const post = () => app.request('POST', '/api/v1/mappings', { key: acme.writer, body, headers });
    await post();
    const kept = () => app.admin.core`
      select from ops.idempotency where key = ${headers['idempotency-key']}`;
    const asOf = (hours: number) => ({ as_of: new Date(Date.now() + hours * 3_600_000).toISOString() });
    await start('leftovers-sweep', asOf(23));
    expect(await kept()).toHaveLength(1);
    await start('leftovers-sweep', asOf(25));
    expect(await kept()).toHaveLength(0);
    await until(
      () => runsOf('leftovers-sweep', 'limit=1'),
      ({ body: page }) => page.items[0].status === 'completed',
    );
  });
});
