import { describe, expect, it, vi } from 'vitest';
import { recordsExpire } from '../functions/timer/records-expire.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex, operator } = app.keys;
const DAY_MS = 86_400_000;

const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.97 },
  confidence: 0.97,
  processing_time_ms: 120,
  model_used: 'mapper-8b',
};

interface Made {
  readonly recordId: string;
  readonly requestId: string;
}

async function make(count: number, key = acme.writer): Promise<Made[]> {
  const items = Array.from({ length: count }, (_, n) => ({
    detector: 'regex-pii',
    source_data: `text ${n}`,
    model_version: 'v1',
    response,
  }));
  const { status, body } = await app.request('POST', '/api/v1/mappings/batch', { key, body: { items } });
  expect(status).toBe(207);
  return body.items.map((item: { record_id: string; request_id: string }) => ({
    recordId: item.record_id,
    requestId: item.request_id,
  }));
}

const idsOf = (made: readonly Made[]): string[] => made.map(({ recordId }) => recordId);

async function makeArchived(count: number, key = acme.writer): Promise<Made[]> {
  const made = await make(count, key);
  await until(
    () =>
      app.admin.core`select from storage_records where id = any(${idsOf(made)}) and archived_at is not null`,
    (rows) => rows.length === count,
  );
  return made;
}

async function left(made: readonly Made[]): Promise<string[]> {
  const rows = await app.admin.core`select id from storage_records where id = any(${idsOf(made)})`;
  return rows.map((row) => String(row['id'])).sort();
}

async function mappingsLeft(made: readonly Made[]): Promise<number> {
  const ids = made.map(({ requestId }) => requestId);
  const [row] = await app.admin.core`
    select (select count(*) from mapper_requests where request_id = any(${ids}))::int as requests,
           (select count(*) from mapper_responses where request_id = any(${ids}))::int as responses`;
  expect(row?.['responses']).toBe(row?.['requests']);
  return row?.['requests'] as number;
}

interface Run {
  readonly status: string;
  readonly examined: number;
  readonly deleted: number;
  readonly kept_on_hold: number;
  readonly not_archived: number;
  readonly details: Record<string, number>;
}

async function expire(days: number): Promise<Run> {
  const answer = await app.request('POST', '/api/v1/platform/jobs/records-expire/runs', {
    key: operator,
    body: { as_of: new Date(Date.now() + days * DAY_MS).toISOString() },
  });
  expect([answer.status, answer.body.status]).toEqual([200, 'completed']);
  return answer.body;
}

const post = async (path: string, body: unknown, key = acme.owner): Promise<Record<string, string>> => {
  const answer = await app.request('POST', `/api/v1/${path}`, { key, body });
  expect([200, 201]).toContain(answer.status);
  return answer.body;
};
const placeHold = (scope: unknown) => post('legal-holds', { name: 'case', reason: 'litigation', scope });
const release = (hold: Record<string, string>) => post(`legal-holds/${hold['hold_id']}/release`, {});

describe('expired records', () => {
  it('stay until their ninetieth day is over, and are then deleted with their partition', async () => {
    const made = await makeArchived(20);
    expect((await expire(89)).deleted).toBe(0);
    expect(await left(made)).toHaveLength(20);
    const run = await expire(92);
    // Small partitions are counted; only rows of large ones are estimated.
    expect(run.details).toMatchObject({ partitions_dropped: 1, rows_estimated: 0 });
    expect(run.deleted).toBeGreaterThanOrEqual(40);
    expect([await left(made), await mappingsLeft(made)]).toEqual([[], 0]);
    // A second run finds nothing, and the day can still be written to.
    expect(await expire(92)).toMatchObject({ deleted: 0 });
    expect(await left(await make(2))).toHaveLength(2);
  });

  it('stay with their mapping until they are archived', async () => {
    const made = await makeArchived(5);
    const late = made.slice(0, 2);
    await app.admin.core`update storage_records set archived_at = null where id = any(${idsOf(late)})`;
    const run = await expire(92);
    expect(run.not_archived).toBeGreaterThanOrEqual(2);
    expect(await left(made)).toEqual(idsOf(late).sort());
    expect(await mappingsLeft(late)).toBe(2);
    // Now they are archived.
    await app.admin.core`update storage_records set archived_at = now() where id = any(${idsOf(late)})`;
    await expire(92);
    expect([await left(made), await mappingsLeft(made)]).toEqual([[], 0]);
  });

  it.each([
    ['everything', () => ({})],
    ['their kinds', () => ({ data_types: ['storage_records', 'mappings'] })],
    ['their ids', (made: readonly Made[]) => ({ record_ids: idsOf(made) })],
    ['their mappings’ ids', (made: readonly Made[]) => ({ record_ids: made.map((one) => one.requestId) })],
    [
      'their time',
      () => ({
        created_from: new Date(Date.now() - 3_600_000).toISOString(),
        created_to: new Date(Date.now() + 3_600_000).toISOString(),
      }),
    ],
  ])('stay under a hold of %s, and are deleted after its release', async (_, scope) => {
    const [held, others] = [await makeArchived(3), await makeArchived(3, globex.writer)];
    const hold = await placeHold(scope(held));
    const run = await expire(92);
    expect(run.kept_on_hold).toBeGreaterThanOrEqual(3);
    expect(await left(held)).toHaveLength(3);
    expect(await mappingsLeft(held)).toBe(3);
    // A hold keeps only its own tenant's rows.
    expect(await left(others)).toEqual([]);
    await release(hold);
    await expire(92);
    expect([await left(held), await mappingsLeft(held)]).toEqual([[], 0]);
  });

  it('are not kept by a hold of other records, kinds or times', async () => {
    const made = await makeArchived(2);
    const [other] = await makeArchived(1);
    const holds = [
      await placeHold({ record_ids: [other?.recordId] }),
      await placeHold({ data_types: ['analyses'] }),
      await placeHold({ created_to: '2020-01-01T00:00:00Z' }),
    ];
    await expire(92);
    expect(await left(made)).toEqual([]);
    expect(await left(other === undefined ? [] : [other])).toHaveLength(1);
    for (const hold of holds) await release(hold);
    await expire(92);
  });
});

describe('a tenant’s own retention', () => {
  it('keeps its records longer, one by one, and does not change other tenants’', async () => {
    const before = await makeArchived(2);
    const policy = await post('data-retention-policies', {
      data_type: 'storage_records',
      retention_days: 200,
    });
    const after = await makeArchived(2);
    const others = await makeArchived(2, globex.writer);
    const run = await expire(150);
    expect(run.details['policies_applied']).toBe(1);
    expect(await left([...before, ...after])).toHaveLength(4);
    expect(await left(others)).toEqual([]);
    expect(await mappingsLeft([...before, ...after])).toBe(4);
    await expire(201);
    expect(await left([...before, ...after])).toEqual([]);
    const gone = await app.request('DELETE', `/api/v1/data-retention-policies/${policy['policy_id']}`, {
      key: acme.owner,
      headers: { 'if-match': policy['etag'] ?? '' },
    });
    expect(gone.status).toBeLessThan(300);
    await expire(201);
  });

  it('deletes records earlier', async () => {
    const before = await makeArchived(2);
    const policy = await post('data-retention-policies', {
      data_type: 'storage_records',
      retention_days: 10,
    });
    const after = await makeArchived(2);
    await expire(9);
    expect(await left([...before, ...after])).toHaveLength(4);
    await expire(11);
    expect(await left([...before, ...after])).toEqual([]);
    await app.request('DELETE', `/api/v1/data-retention-policies/${policy['policy_id']}`, {
      key: acme.owner,
      headers: { 'if-match': policy['etag'] ?? '' },
    });
    await expire(11);
  });

  it('keeps records without auto_delete', async () => {
    const made = await makeArchived(2);
    const policy = await post('data-retention-policies', {
      data_type: 'storage_records',
      retention_days: 90,
      auto_delete: false,
    });
    await expire(92);
    expect(await left(made)).toHaveLength(2);
    await app.request('DELETE', `/api/v1/data-retention-policies/${policy['policy_id']}`, {
      key: acme.owner,
      headers: { 'if-match': policy['etag'] ?? '' },
    });
    await expire(92);
    expect(await left(made)).toEqual([]);
  });
});

describe('a run', () => {
  it('without time left is continued by the next, and nothing is skipped', async () => {
    const made = await makeArchived(60);
    // Kept rows are deleted one by one.
    await app.admin
      .core`update storage_records set partition_day = '9999-12-31' where id = any(${idsOf(made)})`;
    const asOf = new Date(Date.now() + 92 * DAY_MS);
    const runs: string[] = [];
    for (let n = 1; n <= 50 && (await left(made)).length + (await mappingsLeft(made)) > 0; n++) {
      const { status } = await runJob(app.services, recordsExpire, {
        asOf,
        budgetMs: 20 * n,
        triggeredBy: 'test',
      });
      runs.push(status);
    }
    expect(await left(made)).toEqual([]);
    expect(await mappingsLeft(made)).toBe(0);
  });

  it('whose batch fails keeps its position before that batch, and the next one continues there', async () => {
    const { core } = app.admin;
    // Two batches: a thousand rows, and the rest.
    await core`
      insert into analysis_metrics (tenant_id, id, metric_name, metric_value, time_period, created_at, expires_at)
      select 'acme', gen_random_uuid(), 'fails', n, now(), now() - interval '91 days',
             now() - interval '1 day' + n * interval '1 second'
        from generate_series(1, 1500) n`;
    const rows = () => core`
      select id, metric_value::int as n, to_json(expires_at)#>>'{}' as at from analysis_metrics
       where metric_name = 'fails' order by expires_at`;
    const before = await rows();
    const refused = before[1200]?.['id'] as string;
    await core.unsafe(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$;
      create trigger refuse before delete on analysis_metrics for each row when (old.id = '${refused}')
        execute function refuse();`);
    const run = () => runJob(app.services, recordsExpire, { triggeredBy: 'test' });
    await expect(run()).rejects.toThrow('not this one');
    await core.unsafe('drop trigger refuse on analysis_metrics; drop function refuse;');
    expect(await rows()).toEqual(before.slice(1000));
    const [kept] = await core`select position from ops.watermarks where job = 'records-expire'`;
    const { table, id, at } = kept?.['position'].walk;
    expect([table, id, Date.parse(at)]).toEqual([
      'analysis_metrics',
      before[999]?.['id'],
      Date.parse(before[999]?.['at']),
    ]);
    const next = await run();
    expect([next.status, next.details['analysis_metrics_deleted']]).toEqual(['completed', 500]);
    expect(await rows()).toEqual([]);
  });

  it('deletes orchestrations, analyses and metrics too, each by its own expiry', async () => {
    const orchestration = await post(
      'orchestrations',
      { content: 'text', content_type: 'text', policy_bundle: 'default', environment: 'prod' },
      acme.writer,
    );
    const analysis = await post(
      'analyses',
      {
        period: { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' },
        metrics: { coverage: 0.5 },
      },
      acme.writer,
    );
    await post(
      'analysis-metrics',
      { metrics: [{ metric_name: 'gone', metric_value: 1, time_period: '2026-11-01T00:00:00Z' }] },
      acme.writer,
    );
    const counts = async () => {
      const [row] = await app.admin.core`
        select (select count(*) from orchestration_requests where request_id = ${orchestration['request_id'] ?? ''})::int as o,
               (select count(*) from analysis_requests where request_id = ${analysis['request_id'] ?? ''})::int as a,
               (select count(*) from analysis_metrics where metric_name = 'gone')::int as m`;
      return [row?.['o'], row?.['a'], row?.['m']];
    };
    expect(await counts()).toEqual([1, 1, 1]);
    await expire(89);
    expect(await counts()).toEqual([1, 1, 1]);
    await expire(91);
    expect(await counts()).toEqual([0, 0, 0]);
  });

  it('does not change the audit trail and the blobs', async () => {
    const [made] = await makeArchived(1);
    const blobs = () =>
      app.admin.core`select deleted_at from ops.blobs where blob_name like ${`%${made?.recordId ?? ''}%`}`;
    await expire(92);
    expect(await blobs()).toMatchObject([{ deleted_at: null }]);
    // The entry comes through the bus, so a moment later.
    await vi.waitFor(
      async () => {
        const trail = await app.admin
          .core`select from audit_logs where resource_id = ${made?.recordId ?? ''}`;
        expect(trail.length).toBeGreaterThan(0);
      },
      { timeout: 10_000, interval: 100 },
    );
  });
});
