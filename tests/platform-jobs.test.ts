import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { outboxRelay } from '../shared/platform/writes/outbox-relay.ts';
import { runJob, type Job } from '../shared/platform/jobs/job.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { operator } = app.keys;
const DAY_MS = 86_400_000;

interface Run {
  readonly run_id: string;
  readonly status: string;
}

const start = (job: string, body: unknown = {}) =>
  app.request('POST', `/api/v1/platform/jobs/${job}/runs`, { key: operator, body });
const runs = async (job: string, query = ''): Promise<Run[]> =>
  (await app.request('GET', `/api/v1/platform/jobs/${job}/runs?${query}`, { key: operator })).body.items;
async function listed(job: string): Promise<{ running: boolean; last_run: Run | null }> {
  const { body } = await app.request('GET', '/api/v1/platform/jobs', { key: operator });
  return body.items.find((item: { job: string }) => item.job === job);
}

/** A run in this process with the name of one of the app's jobs, so it has the same lock and the same ledger. */
const runAs = (name: string, run: Job['run']) =>
  runJob(app.services, { name, budgetMs: 10_000, run }, { triggeredBy: 'test' });

describe('the list of jobs', () => {
  it('has no last run before the first run, and then exactly the ledger’s entry', async () => {
    expect(await listed('blobs-tier')).toMatchObject({ running: false, last_run: null });
    expect((await start('blobs-tier')).status).toBe(200);
    const [run] = await runs('blobs-tier');
    expect((await listed('blobs-tier')).last_run).toEqual(run);
    expect(run).toMatchObject({ started_at: expect.stringMatching(/Z$/), status: 'completed' });
  });

  it('shows a failure until the next run', async () => {
    await expect(runAs('blobs-tier', () => Promise.reject(new RangeError('no')))).rejects.toThrow();
    expect((await listed('blobs-tier')).last_run).toMatchObject({ status: 'failed', error: 'RangeError' });
    await start('blobs-tier');
    expect((await listed('blobs-tier')).last_run).toMatchObject({ status: 'completed', error: null });
  });
});

describe('the list of a job’s runs', () => {
  it('continues with its own cursor, not with that of another job', async () => {
    for (let n = 0; n < 2; n++) expect((await start('blobs-tier')).status).toBe(200);
    const list = (job: string, query: string) =>
      app.request('GET', `/api/v1/platform/jobs/${job}/runs?limit=1${query}`, { key: operator });
    const page = await list('blobs-tier', '');
    const cursor = /[?&](cursor=[^&>]+)/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    expect((await list('blobs-tier', `&${cursor}`)).body.items).toHaveLength(1);
    expect((await list('outbox-relay', `&${cursor}`)).status).toBe(400);
  });
});

describe('a run that an operator starts', () => {
  it('is refused while another one runs, which continues, and the ledger has both', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let enter = (): void => undefined;
    const entered = new Promise<void>((resolve) => (enter = resolve));
    const first = runAs('leftovers-sweep', async () => {
      enter();
      await held;
      return 'completed';
    });
    await entered;
    const refused = await start('leftovers-sweep');
    expect([refused.status, refused.body.code]).toEqual([409, 'CONFLICT']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await listed('leftovers-sweep')).toMatchObject({ running: true, last_run: { status: 'running' } });
    release();
    await first;
    expect(await listed('leftovers-sweep')).toMatchObject({
      running: false,
      last_run: { status: 'completed' },
    });
    expect((await runs('leftovers-sweep')).map(({ status }) => status)).toEqual(['skipped', 'completed']);
  });

  it('is in the audit trail, and the runs are listed page by page', async () => {
    const made = [await start('partitions-make'), await start('partitions-make')].map(({ body }) => body);
    const trail = await until(
      () => app.admin.core`select details from audit_logs where action = 'job.run'
                            and details ->> 'run_id' = any(${made.map(({ run_id: id }) => id)})`,
      (rows) => rows.length === 2,
    );
    expect(trail).toHaveLength(2);
    const [latest] = await runs('partitions-make', 'limit=1');
    expect(latest?.run_id).toBe(made[1].run_id);
    const page = await app.request('GET', '/api/v1/platform/jobs/partitions-make/runs?limit=1', {
      key: operator,
    });
    const next = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    const second = await app.request('GET', next, { key: operator });
    expect(second.body.items[0].run_id).toBe(made[0].run_id);
  });
});

describe('outbox-relay', () => {
  const OLD = new Date(Date.now() - 60_000);
  async function leave(rows: number, type: string, createdAt = OLD): Promise<void> {
    const entries = Array.from({ length: rows }, () => ({
      id: randomUUID(),
      tenant_id: 'acme',
      created_at: createdAt,
      events: [
        {
          specversion: '1.0',
          id: randomUUID(),
          source: '/crashed',
          type: USAGE_RECORDED,
          time: createdAt.toISOString(),
          data: { tenant_id: 'acme', usage_type: type, usage_amount: 1 },
        },
      ],
    }));
    await app.admin.core`
      insert into ops.outbox (id, tenant_id, events, created_at)
      select e.id, e.tenant_id, e.events, e.created_at
        from jsonb_to_recordset(${app.admin.core.json(entries)})
          as e (id uuid, tenant_id text, events jsonb, created_at timestamptz)`;
  }
  const counted = async (type: string): Promise<number> => {
    const [row] = await app.admin
      .billing`select count(*)::int as n from usage_records where usage_type = ${type}`;
    return row?.['n'];
  };

  it('continues until everything that many crashes left is published, each event once', async () => {
    await leave(450, 'left_behind');
    expect((await start('outbox-relay')).body).toMatchObject({
      status: 'completed',
      examined: 450,
      deleted: 450,
    });
    await until(
      () => counted('left_behind'),
      (n) => n >= 450,
    );
    expect(await counted('left_behind')).toBe(450);
    expect(await app.admin.core`select from ops.outbox where created_at <= ${OLD}`).toHaveLength(0);
  });

  it('skips rows that the writing process is about to publish', async () => {
    await leave(1, 'young', new Date());
    expect((await start('outbox-relay')).status).toBe(200);
    const young = app.admin
      .core`select from ops.outbox where events -> 0 -> 'data' ->> 'usage_type' = 'young'`;
    expect(await young).toHaveLength(1);
    await start('outbox-relay', { as_of: new Date(Date.now() + 60_000).toISOString() });
    await until(
      () => counted('young'),
      (n) => n === 1,
    );
  });

  it('ends partial without time left, and the next run does the work', async () => {
    await leave(3, 'postponed');
    const hurried = await runJob(app.services, outboxRelay, { triggeredBy: 'test', budgetMs: 1_000 });
    expect(hurried).toMatchObject({ status: 'partial', examined: 0 });
    expect((await start('outbox-relay')).body).toMatchObject({ status: 'completed', examined: 3 });
    await until(
      () => counted('postponed'),
      (n) => n === 3,
    );
  });
});

describe('partitions-make', () => {
  it('makes the months of the usage ledger ahead, in its own database', async () => {
    const ahead = new Date(Date.now() + 400 * DAY_MS);
    const month = ahead.toISOString().slice(0, 7);
    const name = `usage_records_m${month.replace('-', '')}`;
    const exists = async (): Promise<boolean> =>
      (await app.admin.billing`select to_regclass(${name}) is not null as made`)[0]?.['made'];
    expect(await exists()).toBe(false);
    const { body } = await start('partitions-make', { as_of: ahead.toISOString() });
    expect(body).toMatchObject({ status: 'completed', details: { usage_records: expect.any(Number) } });
    expect(await exists()).toBe(true);
  });
});
