import { describe, expect, it } from 'vitest';
import { alertsEvaluate } from '../shared/domains/alerts/evaluate-job.ts';
import { DependencyUnavailable } from '../shared/platform/db/errors.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { addDays, HOUR_MS, MINUTE_MS } from '../shared/platform/time/clock.ts';
import {
  addDetectorFailures,
  addMappings,
  addOrchestrations,
  evaluate,
  evaluatorRun,
} from './harness/alert-rows.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';
import { addPlan, addTenant, consume, intercepted } from './harness/metered-tenant.ts';

const app = await startTestApp();
const { globex, operator } = app.keys;
const sql = app.admin.analytics;
const inMinutes = (minutes: number): Date => new Date(Date.now() + minutes * MINUTE_MS);

let tenants = 0;
/** A tenant of its own for each test, so that no test sees another one's alerts. */
async function newTenant(limits: Record<string, number> = {}): Promise<{ tenant: string; key: string }> {
  tenants += 1;
  const tenant = `alerted-${tenants}`;
  return { tenant, key: await addTenant(app, tenant, await addPlan(app, { limits })) };
}

const FAILURES = { type: 'failure_count', operator: 'gte', threshold: 3, window_minutes: 60 };
let names = 0;
const configure = async (key: string, changes: object = {}): Promise<TestAnswer> => {
  names += 1;
  const body = { name: `alert ${names}`, condition: FAILURES, severity: 'high', cooldown_minutes: 30 };
  return app.request('POST', '/api/v1/alert-configs', { key, body: { ...body, ...changes } });
};
const alertsOf = async (key: string, query = '') =>
  (await app.request('GET', `/api/v1/alerts?${query}`, { key })).body.items;
const act = (key: string, id: string, action: string, headers = {}): Promise<TestAnswer> =>
  app.request('POST', `/api/v1/alerts/${id}/${action}`, { key, headers });
const trailOf = (tenant: string) => app.admin.core`
  select action, resource_id, actor, details from audit_logs
   where tenant_id = ${tenant} and resource_type = 'alert' order by created_at, action`;

/** A tenant with an open alert on failures. */
async function alerted(changes: object = {}) {
  const { tenant, key } = await newTenant();
  await addOrchestrations(app, { tenant, count: 3, coverage: 0.5, minutesAgo: 10 });
  const { body: config } = await configure(key, changes);
  await evaluate(app.services);
  const [alert] = await alertsOf(key);
  return { tenant, key, config, alert };
}
/** What it was raised by is over. */
const mend = (tenant: string) => app.admin.core`
  update orchestration_responses set fallback_used = false where tenant_id = ${tenant}`;

const WINDOW = { window_minutes: 60 };
const use = (amount: number) => (tenant: string) => consume(app, { tenant, type: 'calls', amount });
type Fill = (tenant: string) => Promise<unknown>;
const orchestrations =
  (...groups: { count: number; coverage?: number; error?: string }[]): Fill =>
  (tenant) =>
    Promise.all(groups.map((group) => addOrchestrations(app, { tenant, ...group })));
const mappings =
  (...groups: { count: number; confidence?: number; review?: string }[]): Fill =>
  (tenant) =>
    Promise.all(groups.map((group) => addMappings(app, { tenant, ...group })));

const CONDITIONS: readonly {
  condition: { type: string } & Record<string, unknown>;
  below: Fill;
  reached: Fill;
  value: number;
}[] = [
  {
    condition: { type: 'usage_share', usage_type: 'calls', operator: 'gte', threshold: 0.9 },
    below: use(89),
    reached: use(2),
    value: 0.91,
  },
  {
    condition: { type: 'usage_amount', usage_type: 'calls', operator: 'gt', threshold: 10, window_hours: 2 },
    below: use(10),
    reached: use(0.5),
    value: 10.5,
  },
  {
    condition: { type: 'coverage_mean', operator: 'lt', threshold: 0.8, ...WINDOW },
    below: orchestrations({ count: 2, coverage: 0.8 }),
    reached: orchestrations({ count: 2, coverage: 0.6 }),
    value: 0.7,
  },
  {
    condition: { type: 'coverage_share', coverage_below: 0.7, operator: 'gt', threshold: 0.25, ...WINDOW },
    below: orchestrations({ count: 1, coverage: 0.69 }, { count: 3, coverage: 0.7 }),
    reached: orchestrations({ count: 1, coverage: 0.2 }),
    value: 0.4,
  },
  {
    condition: { type: 'confidence_mean', operator: 'lte', threshold: 0.5, ...WINDOW },
    below: mappings({ count: 2, confidence: 0.75 }),
    reached: mappings({ count: 2, confidence: 0.25 }),
    value: 0.5,
  },
  {
    condition: { type: 'review_share', operator: 'gte', threshold: 0.5, ...WINDOW },
    below: mappings({ count: 2 }, { count: 1, review: 'needs_review' }),
    reached: mappings({ count: 1, review: 'confirmed' }),
    value: 0.5,
  },
  {
    condition: { ...FAILURES },
    below: orchestrations({ count: 2, coverage: 0.5 }, { count: 5 }),
    reached: orchestrations({ count: 1, error: 'gone' }),
    value: 3,
  },
  {
    condition: { type: 'failure_share', operator: 'gt', threshold: 0.5, ...WINDOW },
    below: orchestrations({ count: 2, error: 'gone' }, { count: 2 }),
    reached: orchestrations({ count: 1, coverage: 0.1 }),
    value: 0.6,
  },
  {
    condition: { type: 'detector_failure_count', operator: 'gte', threshold: 2, ...WINDOW },
    below: async (tenant) => {
      await addDetectorFailures(app, { tenant, count: 1 });
      await addDetectorFailures(app, { tenant, count: 4 }, 'skipped');
    },
    reached: (tenant) => addDetectorFailures(app, { tenant, count: 1 }, 'unavailable'),
    value: 2,
  },
];

describe.each(CONDITIONS.map((one) => [one.condition.type, one] as const))(
  'a condition on %s',
  (type, { condition, below, reached, value }) => {
    it('raises nothing without data and below its threshold, one alert when it holds, and ends it when it does not', async () => {
      const { tenant, key } = await newTenant({ calls: 100 });
      const other = await newTenant({ calls: 100 });
      for (const own of [key, other.key]) expect((await configure(own, { condition })).status).toBe(201);
      await evaluate(app.services);
      expect(await alertsOf(key)).toEqual([]);
      await below(tenant);
      await evaluate(app.services);
      expect(await alertsOf(key)).toEqual([]);
      await reached(tenant);
      await evaluate(app.services);
      await evaluate(app.services);
      const raised = await alertsOf(key);
      expect(raised).toMatchObject([{ status: 'triggered', condition, severity: 'high', resolved_at: null }]);
      expect(raised[0].measured_value).toBeCloseTo(value, 9);
      expect(await alertsOf(other.key)).toEqual([]);

      // Two hours later the windows are empty: a count and an amount are 0, a mean and a share are unknown.
      const later = type === 'usage_amount' ? inMinutes(180) : inMinutes(120);
      await evaluate(app.services, later);
      const isKnown = ['usage_amount', 'failure_count', 'detector_failure_count'].includes(type);
      const [after] = await alertsOf(key);
      expect(after).toMatchObject(
        isKnown
          ? { status: 'resolved', resolution: 'recovered', resolved_by: null }
          : { status: 'triggered' },
      );
    });
  },
);

describe('a condition', () => {
  it('is judged by its own window, and concludes nothing from fewer rows than it asks for', async () => {
    const { tenant, key } = await newTenant();
    const condition = { type: 'coverage_mean', operator: 'lt', threshold: 0.8, ...WINDOW, min_samples: 3 };
    await configure(key, { condition });
    await addOrchestrations(app, { tenant, count: 9, coverage: 0, minutesAgo: 61 });
    await addOrchestrations(app, { tenant, count: 2, coverage: 0 });
    await addOrchestrations(app, { tenant, count: 5, open: true });
    await evaluate(app.services);
    expect(await alertsOf(key)).toEqual([]);
    await addOrchestrations(app, { tenant, count: 1, coverage: 0.75 });
    await evaluate(app.services);
    expect(await alertsOf(key)).toMatchObject([{ measured_value: 0.25, sample_count: 3 }]);
  });

  it('of a share is judged by the newest thousand, and a count finds failures beyond them', async () => {
    const { tenant, key } = await newTenant();
    await addOrchestrations(app, { tenant, count: 5, coverage: 0.1, minutesAgo: 20 });
    await addOrchestrations(app, { tenant, count: 1_000, minutesAgo: 10 });
    const share = { type: 'failure_share', operator: 'gt', threshold: 0, ...WINDOW };
    await configure(key, { condition: share });
    await configure(key, { condition: { ...FAILURES, threshold: 5 } });
    await evaluate(app.services);
    expect(await alertsOf(key)).toMatchObject([{ condition: { type: 'failure_count' }, measured_value: 5 }]);
  });

  it('of an unknown type, with other fields, or one that no data would meet, is refused', async () => {
    const { key } = await newTenant();
    const refused = [
      { ...FAILURES, type: 'weather' },
      { ...FAILURES, usage_type: 'calls' },
      { ...FAILURES, operator: 'lt' },
      { ...FAILURES, threshold: 0 },
      { ...FAILURES, window_minutes: 4 },
      { ...FAILURES, window_minutes: 1441 },
      { type: 'coverage_mean', operator: 'gt', threshold: 0.5, ...WINDOW },
      { type: 'coverage_mean', operator: 'lt', threshold: 1.1, ...WINDOW },
      { type: 'usage_amount', usage_type: 'calls', operator: 'gte', threshold: 0, window_hours: 1 },
    ];
    for (const condition of refused)
      expect([condition, (await configure(key, { condition })).status]).toEqual([condition, 400]);
  });

  it('that this build cannot read is skipped, and its neighbours are judged', async () => {
    const { tenant, key } = await newTenant();
    await addOrchestrations(app, { tenant, count: 3, coverage: 0 });
    const { body } = await configure(key);
    await configure(key);
    await sql`update alert_configs set condition = '{"type": "of another build"}' where config_id = ${body.config_id}`;
    expect((await evaluate(app.services))['unmeasured']).toBe(1);
    expect(await alertsOf(key)).toHaveLength(1);
    await sql`delete from alert_configs where config_id = ${body.config_id}`;
  });
});

describe('alert configurations', () => {
  it('are at most a hundred of a tenant, also when several are made at once', async () => {
    const { tenant, key } = await newTenant();
    await sql`
      insert into alert_configs (tenant_id, config_id, name, condition, severity, cooldown_minutes, is_active)
      select ${tenant}, gen_random_uuid(), 'n' || n, ${sql.json(FAILURES)}, 'low', 0, false from generate_series(1, 98) n`;
    const made = await Promise.all(Array.from({ length: 5 }, () => configure(key)));
    expect(made.map(({ status }) => status).sort()).toEqual([201, 201, 409, 409, 409]);
    const [first] = made.filter(({ status }) => status === 201);
    const replaced = await app.request('PUT', first?.headers.get('location') ?? '', {
      key,
      headers: { 'if-match': '*' },
      body: { name: 'replaced', condition: FAILURES, severity: 'low' },
    });
    expect(replaced.status).toBe(200);
  });

  it('that are inactive raise nothing, and end their open alert', async () => {
    const { key, config } = await alerted();
    const path = `/api/v1/alert-configs/${config.config_id}`;
    const { name, condition, severity } = config;
    const body = { name, condition, severity, is_active: false };
    expect((await app.request('PUT', path, { key, headers: { 'if-match': config.etag }, body })).status).toBe(
      200,
    );
    await evaluate(app.services);
    expect(await alertsOf(key)).toMatchObject([{ status: 'resolved', resolution: 'config_inactive' }]);
    await evaluate(app.services, inMinutes(40));
    expect(await alertsOf(key)).toHaveLength(1);
  });

  it('that are deleted end their open alert, which keeps its name and condition', async () => {
    const { tenant, key, config } = await alerted();
    const path = `/api/v1/alert-configs/${config.config_id.toUpperCase()}`;
    expect((await app.request('DELETE', path, { key })).status).toBe(204);
    const [open] = await alertsOf(key, `config_id=${config.config_id.toUpperCase()}`);
    expect(open).toMatchObject({ status: 'triggered' });
    await evaluate(app.services);
    await evaluate(app.services);
    expect(await alertsOf(key)).toMatchObject([
      {
        status: 'resolved',
        resolution: 'config_deleted',
        config_name: config.name,
        condition: config.condition,
      },
    ]);
    const trail = await until(
      () => trailOf(tenant),
      (rows) => rows.length >= 2,
    );
    expect(trail.map((row) => row['action'])).toEqual(['alert.triggered', 'alert.resolved']);
  });

  it('of an erased tenant raise nothing', async () => {
    const { tenant, key } = await newTenant();
    await addOrchestrations(app, { tenant, count: 3, coverage: 0 });
    await configure(key);
    await app.admin.core`update tenants set status = 'erased' where tenant_id = ${tenant}`;
    app.services.tenants.forget(tenant);
    await evaluate(app.services);
    expect(await sql`select from alert_history where tenant_id = ${tenant}`).toHaveLength(0);
  });
});

describe('an alert', () => {
  it('is told once in the tenant’s trail when it is raised, and once when it has ended', async () => {
    const { tenant, config, alert } = await alerted();
    await mend(tenant);
    await evaluate(app.services);
    await evaluate(app.services);
    const trail = await until(
      () => trailOf(tenant),
      (rows) => rows.length >= 2,
    );
    const of = {
      config_id: config.config_id,
      condition_type: 'failure_count',
      threshold: 3,
      measured_value: 3,
    };
    expect(trail).toMatchObject([
      { action: 'alert.triggered', resource_id: alert.alert_id, details: of },
      { action: 'alert.resolved', resource_id: alert.alert_id, details: { ...of, resolution: 'recovered' } },
    ]);
    expect(JSON.stringify(trail)).not.toContain(config.name);
    const left = await sql`select from ops.outbox where tenant_id = ${tenant}`;
    expect(left).toHaveLength(0);
  });

  it('is acknowledged by one of two at once, and by a repeated key again', async () => {
    const { tenant, key, alert } = await alerted();
    const keys = ['one', 'two'];
    const answers = await Promise.all(
      keys.map((one) => act(key, alert.alert_id, 'acknowledge', { 'idempotency-key': one })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const winner = answers.findIndex(({ status }) => status === 200);
    const again = await act(key, alert.alert_id, 'acknowledge', { 'idempotency-key': keys[winner] });
    expect([again.status, again.body]).toEqual([200, answers[winner]?.body]);
    expect(again.body).toMatchObject({ status: 'acknowledged', resolved_at: null });
    expect(again.body.acknowledged_by).toMatch(/^key:/);
    // It stays open: nothing is raised beside it.
    await evaluate(app.services, inMinutes(45));
    expect(await alertsOf(key)).toMatchObject([{ status: 'acknowledged' }]);
    const trail = await until(
      () => trailOf(tenant),
      (rows) => rows.length >= 2,
    );
    expect(trail.map((row) => row['action'])).toEqual(['alert.triggered', 'alert.acknowledged']);
  });

  it('is resolved by a person once, which is in the trail once, with who it was', async () => {
    const { tenant, key, alert } = await alerted();
    const upper = alert.alert_id.toUpperCase();
    const answers = await Promise.all([act(key, upper, 'resolve'), act(key, alert.alert_id, 'resolve')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const done = answers.find(({ status }) => status === 200);
    expect(done?.body).toMatchObject({
      alert_id: alert.alert_id,
      status: 'resolved',
      resolution: 'by_person',
    });
    expect(done?.body.resolved_by).toMatch(/^key:/);
    expect((await act(key, alert.alert_id, 'acknowledge')).status).toBe(409);
    // The event of it is consumed after the request's audit event, from the same outbox.
    await until(
      () => sql`select from ops.outbox where tenant_id = ${tenant}`,
      (rows) => rows.length === 0,
    );
    await act(key, alert.alert_id, 'resolve');
    const trail = await until(
      () => trailOf(tenant),
      (rows) => rows.length >= 2,
    );
    expect(trail.map((row) => [row['action'], row['actor'] === null])).toEqual([
      ['alert.triggered', true],
      ['alert.resolved', false],
    ]);
  });

  it('is another tenant’s business to nobody: 404, and 403 without the permission', async () => {
    const { tenant, alert } = await alerted();
    const path = `/api/v1/alerts/${alert.alert_id}`;
    expect((await app.request('GET', path, { key: globex.owner })).status).toBe(404);
    const reader = await app.makeKey(tenant, ['alerts:read']);
    for (const action of ['acknowledge', 'resolve']) {
      expect((await act(globex.owner, alert.alert_id, action)).status).toBe(404);
      expect((await act(reader, alert.alert_id, action)).status).toBe(403);
      expect((await act(operator, alert.alert_id, action)).status).toBe(404);
    }
    expect((await app.request('GET', path, { key: reader })).body).toMatchObject({ status: 'triggered' });
  });

  it('is followed by none during the cool-down, which begins when it ended', async () => {
    const { tenant, key, config, alert } = await alerted({ cooldown_minutes: 20 });
    expect((await act(key, alert.alert_id, 'resolve')).status).toBe(200);
    await evaluate(app.services);
    await evaluate(app.services, inMinutes(19));
    expect(await alertsOf(key)).toHaveLength(1);
    await evaluate(app.services, inMinutes(21));
    expect((await alertsOf(key)).map((one: { status: string }) => one.status)).toEqual([
      'triggered',
      'resolved',
    ]);
    const [row] = await sql`select version from alert_configs where config_id = ${config.config_id}`;
    expect([tenant, row?.['version']]).toEqual([tenant, 1]);
  });

  it('is followed by one although the cool-down began in the future: that clock was wrong', async () => {
    const { key, config, alert } = await alerted();
    await act(key, alert.alert_id, 'resolve');
    await sql`update alert_configs set last_ended_at = now() + interval '1 year' where config_id = ${config.config_id}`;
    await evaluate(app.services);
    expect(await alertsOf(key)).toHaveLength(2);
  });

  it('does not end before it began when the clock was set back', async () => {
    const { key, alert } = await alerted();
    await evaluate(app.services, addDays(new Date(), -1));
    const [ended] = await alertsOf(key);
    expect(ended).toMatchObject({ status: 'resolved', resolution: 'recovered' });
    expect(Date.parse(ended.resolved_at)).toBeGreaterThanOrEqual(Date.parse(alert.triggered_at));
  });
});

describe('the evaluator', () => {
  it('raises and tells an alert once, and ends it once, with several at once', async () => {
    const { tenant, key } = await newTenant();
    await addOrchestrations(app, { tenant, count: 3, coverage: 0 });
    for (let n = 0; n < 5; n++) await configure(key, { cooldown_minutes: 0 });
    const together = () => Promise.all(Array.from({ length: 4 }, () => evaluate(app.services)));
    await together();
    expect(await alertsOf(key)).toHaveLength(5);
    await mend(tenant);
    await together();
    const trail = await until(
      () => trailOf(tenant),
      (rows) => rows.length >= 10,
    );
    const actions = trail.map((row) => String(row['action'])).sort();
    expect(actions).toEqual([
      ...Array<string>(5).fill('alert.resolved'),
      ...Array<string>(5).fill('alert.triggered'),
    ]);
    expect(new Set(trail.map((row) => `${row['action']} ${row['resource_id']}`)).size).toBe(10);
  });

  it('killed at any statement leaves all of an alert or nothing, and the next run raises it', async () => {
    const { tenant, key } = await newTenant();
    await addOrchestrations(app, { tenant, count: 3, coverage: 0 });
    await configure(key);
    const state = async () => {
      const [row] = await sql`
        select (select count(*)::int from alert_history where tenant_id = ${tenant}) as alerts,
               (select count(*)::int from alert_configs where tenant_id = ${tenant} and last_triggered_at is not null) as marked`;
      return [row?.['alerts'], row?.['marked']];
    };
    let killedAt = 0;
    for (let isDone = false; !isDone; killedAt += isDone ? 0 : 1) {
      let statements = 0;
      const analytics = intercepted(app.services.crossTenant.analytics, () => {
        if (statements++ >= killedAt) throw new Error('killed');
      });
      const crossTenant = { ...app.services.crossTenant, analytics };
      isDone = await evaluate({ ...app.services, crossTenant }).then(
        () => true,
        () => false,
      );
      // Both or neither: the alert, and the mark at its configuration.
      const [alerts, marked] = await state();
      expect([killedAt, alerts]).toEqual([killedAt, marked]);
    }
    expect(killedAt).toBeGreaterThan(6);
    expect(await state()).toEqual([1, 1]);
    const trail = await until(
      () => trailOf(tenant),
      (rows) => rows.length > 0,
    );
    expect(trail.map((row) => row['action'])).toEqual(['alert.triggered']);
  });

  it('changes nothing while somebody changes the configuration', async () => {
    const { tenant, key } = await newTenant();
    await addOrchestrations(app, { tenant, count: 3, coverage: 0 });
    const { body } = await configure(key);
    await sql.begin(async (holder) => {
      await holder`select from alert_configs where config_id = ${body.config_id} for update`;
      await expect(evaluate(app.services)).rejects.toMatchObject({ code: '55P03' });
    });
    expect(await alertsOf(key)).toEqual([]);
    await evaluate(app.services);
    expect(await alertsOf(key)).toHaveLength(1);
  });

  it('judges the others while a database is unavailable', async () => {
    const { tenant, key } = await newTenant({ calls: 10 });
    await consume(app, { tenant, type: 'calls', amount: 10 });
    await addOrchestrations(app, { tenant, count: 3, coverage: 0 });
    const share = { type: 'usage_share', usage_type: 'calls', operator: 'gte', threshold: 0.9 };
    await configure(key, { condition: share });
    await configure(key);
    const billing = intercepted(app.services.crossTenant.billing, () => {
      throw new DependencyUnavailable('The database');
    });
    await evaluate({ ...app.services, crossTenant: { ...app.services.crossTenant, billing } });
    expect(await alertsOf(key)).toMatchObject([{ condition: { type: 'failure_count' } }]);
    await evaluate(app.services);
    expect(await alertsOf(key)).toHaveLength(2);
  });

  it('sees only the windows that end at its runs: what was over in between raises nothing', async () => {
    const { tenant, key } = await newTenant();
    await configure(key);
    await addOrchestrations(app, { tenant, count: 3, coverage: 0, minutesAgo: 90 });
    await evaluate(app.services, new Date(Date.now() - 2 * HOUR_MS));
    await evaluate(app.services);
    expect(await alertsOf(key)).toEqual([]);
    await evaluate(app.services, inMinutes(-60));
    expect(await alertsOf(key)).toHaveLength(1);
  });

  it('continues where its time ended, and judges a thousand configurations in few statements', async () => {
    await sql`
      insert into alert_configs (tenant_id, config_id, name, condition, severity, cooldown_minutes)
      select 'many-' || n / 50, gen_random_uuid(), 'n' || n, ${sql.json(FAILURES)}, 'low', 0 from generate_series(0, 999) n`;
    await app.admin
      .core`insert into tenants (tenant_id, name) select 'many-' || n, 'Many' from generate_series(0, 19) n`;
    for (let n = 0; n < 20; n++) await addOrchestrations(app, { tenant: `many-${n}`, count: 3, coverage: 0 });
    let statements = 0;
    const counted = (name: 'core' | 'billing' | 'analytics') =>
      intercepted(app.services.crossTenant[name], () => void (statements += 1));
    const crossTenant = {
      core: counted('core'),
      billing: counted('billing'),
      analytics: counted('analytics'),
    };
    const run = evaluatorRun({ ...app.services, crossTenant }, { batches: 3 });
    expect(await alertsEvaluate.run(run)).toBe('partial');
    const raised = async () =>
      Number(
        (await sql`select count(*)::int as n from alert_history where tenant_id like 'many-%'`)[0]?.['n'],
      );
    const first = await raised();
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(300);
    let runs = 1;
    // The same run's position: each continues where the one before stopped.
    const more = { ...run, timeLeftMs: () => 60_000 };
    for (; (await alertsEvaluate.run(more)) !== 'completed'; runs += 1) expect(runs).toBeLessThan(5);
    expect(await raised()).toBe(1_000);
    expect(statements).toBeLessThan(600);
    statements = 0;
    await alertsEvaluate.run(more);
    expect(await raised()).toBe(1_000);
    // Nothing changes: each hundred is read and measured, and nothing is written.
    expect(statements).toBeLessThan(200);
    await sql`delete from alert_configs where tenant_id like 'many-%'`;
  });

  it('is run by its timer’s job, whose ledger row counts only changes', async () => {
    const { tenant, key } = await newTenant();
    await addOrchestrations(app, { tenant, count: 3, coverage: 0 });
    await configure(key);
    await evaluate(app.services);
    const summary = await runJob(app.services, alertsEvaluate, { triggeredBy: 'test' });
    expect(summary).toMatchObject({ status: 'completed', examined: 0 });
    expect(Number(summary.details['judged'])).toBeGreaterThan(0);
  });
});
