import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { openServices } from '../functions/services.ts';
import { billingChanged } from '../shared/domains/billing/subscriptions/billing-changed.ts';
import { tenantBilling } from '../shared/domains/billing/subscriptions/standing.ts';
import { billingChangedConsumer } from '../shared/domains/tenancy/consume-billing-changed.ts';
import { refreshBilling } from '../shared/domains/tenancy/refresh-billing.ts';
import type { ConsumeServices } from '../shared/platform/consume/event-consumer.ts';
import { openBatch } from '../shared/platform/consume/consume.ts';
import { receivedMessages } from '../shared/platform/consume/received-message.ts';
import { addToOutbox } from '../shared/platform/writes/outbox.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { operator } = app.keys;
const { core, billing } = app.admin;
const DAY_MS = 86_400_000;
/** How soon a change of billing acts on every instance. */
const ACTS_WITHIN_S = 5;

const days = (count: number): Date => new Date(Date.now() + count * DAY_MS);
const mapping = { detector: 'regex-pii', source_data: 'x', model_version: 'v1' };
const write = (key: string) => app.request('POST', '/api/v1/mappings', { key, body: mapping });
const read = (key: string) => app.request('GET', '/api/v1/mappings?limit=1', { key });
const said = (answer: TestAnswer): string | null => answer.headers.get('billing-standing');

async function addTenant(plan = 'free'): Promise<{ id: string; key: string }> {
  const id = `t-${randomUUID()}`;
  const { status, body } = await app.request('POST', '/api/v1/platform/tenants', {
    key: operator,
    body: { tenant_id: id, name: id, plan_id: plan },
  });
  expect(status).toBe(201);
  return { id, key: body.owner_api_key };
}

interface Subscribed {
  readonly status: string;
  readonly plan?: string;
  readonly since?: Date | null;
  /** Null: an operator made it. */
  readonly stripe?: string | null;
}

/** Gives a tenant exactly one live subscription, as the sync with Stripe would, and tells nobody. */
async function subscribe(tenantId: string, given: Subscribed): Promise<void> {
  const { status, plan = 'professional', since = null, stripe = `sub_${randomUUID()}` } = given;
  await billing.begin(async (sql) => {
    await sql`delete from user_subscriptions where tenant_id = ${tenantId}`;
    await sql`insert into user_subscriptions (tenant_id, subscription_id, plan_id, status, current_period_start,
        current_period_end, stripe_subscription_id, past_due_since)
      values (${tenantId}, ${randomUUID()}, ${plan}, ${status}, now(), now() + interval '1 month', ${stripe}, ${since})`;
  });
}

/** The event that whoever changes billing adds in the same transaction. */
async function tell(tenantId: string): Promise<void> {
  const entry = billingChanged(tenantId, new Date());
  await app.services.crossTenant.billing.transaction((transaction) => addToOutbox(transaction, [entry]));
  app.services.publisher.publish(entry);
}

async function change(tenantId: string, given: Subscribed): Promise<void> {
  await subscribe(tenantId, given);
  await tell(tenantId);
}

const rowOf = async (tenantId: string) => {
  const [row] = await core`select * from tenants where tenant_id = ${tenantId}`;
  return row;
};

const untilStanding = (tenantId: string, standing: string) =>
  until(
    () => rowOf(tenantId),
    (row) => row?.['billing_standing'] === standing,
  );

/** The audit entries of standings and plans, oldest first. */
async function trail(key: string): Promise<{ action: string; [member: string]: unknown }[]> {
  const { body } = await app.request('GET', '/api/v1/audit-logs?limit=100', { key });
  return body.items
    .filter((item: { action: string }) => /^billing\.|^tenant\.plan/.test(item.action))
    .toReversed();
}

/** Something to wait for until the test opens it. */
function makeGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

const runDunning = (asOf: Date) =>
  app.request('POST', '/api/v1/platform/jobs/dunning-advance/runs', {
    key: operator,
    body: { as_of: asOf.toISOString() },
  });

describe('what is known of a tenant’s billing', () => {
  const of = async (tenantId: string) =>
    (await tenantBilling(app.services.crossTenant.billing, [tenantId], app.settings, new Date())).get(
      tenantId,
    );

  it('is the live subscription’s plan and its quota, also if the plan is no longer sold', async () => {
    await billing`insert into billing_plans (plan_id, plan_name, plan_type, limits, limit_policies, is_active)
      values ('capped', 'Capped', 'paid', '{"api_calls": 5}', '{"api_calls": {"mode": "hard"}}', false)`;
    await subscribe('b1', { status: 'active', plan: 'capped' });
    await subscribe('b2', { status: 'trialing' });
    expect(await of('b1')).toMatchObject({ plan_id: 'capped', has_quota: true, standing: 'good' });
    expect(await of('b2')).toMatchObject({ plan_id: 'professional', has_quota: false, standing: 'good' });
  });

  it.each(['canceled', 'incomplete_expired', 'incomplete'])(
    'is the free plan, in good standing, with a subscription that is %s',
    async (status) => {
      await subscribe(`b-${status}`, { status });
      expect(await of(`b-${status}`)).toEqual({
        plan_id: 'free',
        has_quota: true,
        standing: 'good',
        grace_ends_at: null,
      });
    },
  );

  it('is good for a subscription that an operator made, and the free plan for a tenant without one', async () => {
    await subscribe('b3', { status: 'past_due', stripe: null, since: days(-90) });
    expect(await of('b3')).toMatchObject({ plan_id: 'professional', standing: 'good' });
    expect(await of('b4')).toMatchObject({ plan_id: 'free', standing: 'good' });
  });
});

describe('a failed payment', () => {
  it('leaves everything working for the days of grace, and every answer says so; then the tenant reads only, until it has paid', async () => {
    const { id, key } = await addTenant();
    await change(id, { status: 'active' });
    await until(
      () => rowOf(id),
      (row) => row?.['plan_id'] === 'professional',
    );
    expect(said(await read(key))).toBeNull();

    const since = days(-1);
    await change(id, { status: 'past_due', since });
    const inGrace = await until(
      () => read(key),
      (answer) => said(answer) !== null,
    );
    const header = `past_due; grace-ends="${new Date(since.getTime() + 14 * DAY_MS).toISOString()}"`;
    expect([inGrace.status, said(inGrace)]).toEqual([200, header]);
    const answers = [
      await write(key),
      await app.request('GET', `/api/v1/mappings/${randomUUID()}`, { key }),
      await app.request('POST', '/api/v1/mappings', { key, raw: '{' }),
      await app.request('HEAD', '/api/v1/mappings', { key }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 404, 400, 200]);
    expect(answers.map(said)).toEqual([header, header, header, header]);

    // A run in the middle of the grace changes nothing.
    expect((await runDunning(days(12))).body).toMatchObject({ status: 'completed' });
    expect((await rowOf(id))?.['billing_standing']).toBe('grace');
    expect((await runDunning(days(14))).body).toMatchObject({ details: { tenants_changed: 1 } });
    expect((await runDunning(days(15))).body).toMatchObject({ details: { tenants_changed: 0 } });
    const refused = await until(
      () => write(key),
      ({ status }) => status !== 201,
      ACTS_WITHIN_S,
    );
    expect([refused.status, refused.body.code, said(refused)]).toEqual([
      402,
      'PAYMENT_REQUIRED',
      'read_only',
    ]);
    expect(refused.body.detail).toContain('/api/v1/billing/portal-sessions');
    const stillRead = await read(key);
    expect([stillRead.status, said(stillRead)]).toEqual([200, 'read_only']);
    const madeKey = await app.request('POST', '/api/v1/api-keys', {
      key,
      body: { key_name: 'more', permission_set: 'reader' },
    });
    expect([madeKey.status, said(madeKey)]).toEqual([201, 'read_only']);

    await change(id, { status: 'active' });
    const paid = await until(
      () => write(key),
      ({ status }) => status === 201,
      ACTS_WITHIN_S,
    );
    expect(said(paid)).toBeNull();
    const entries = await until(
      () => trail(key),
      (items) => items.length >= 4,
    );
    expect(entries.map(({ action }) => action)).toEqual([
      'tenant.plan_changed',
      'billing.grace_began',
      'billing.read_only_began',
      'billing.restored',
    ]);
    expect(entries[2]).toMatchObject({
      actor: 'job:dunning-advance',
      resource_id: id,
      details: { standing: 'read_only', previous_standing: 'grace' },
    });
  }, 60_000);

  it('refuses writes from the moment at which the grace is over, before any timer has run', async () => {
    const { id, key } = await addTenant('professional');
    const endsAt = Date.now() + 3_000;
    await change(id, { status: 'past_due', since: new Date(endsAt - 14 * DAY_MS) });
    await until(
      () => read(key),
      (answer) => said(answer) !== null,
    );
    const [refused, last] = await (async () => {
      let before = Date.now();
      for (;;) {
        const answer = await write(key);
        if (answer.status !== 201) return [answer, before] as const;
        before = Date.now();
      }
    })();
    expect([refused.status, said(refused)]).toEqual([402, 'read_only']);
    // The last write that worked began before the end: no cache and no timer lies between.
    expect(last).toBeLessThan(endsAt + 500);
    expect(Date.now()).toBeGreaterThanOrEqual(endsAt);
    expect((await rowOf(id))?.['billing_standing']).toBe('grace');
    // Billing says the same by the clock, so any event writes it too.
    await tell(id);
    await untilStanding(id, 'read_only');
  });

  it('that comes a hundred times, from all sides, has one audit entry', async () => {
    const { id, key } = await addTenant('professional');
    await subscribe(id, { status: 'past_due', since: days(-2) });
    await Promise.all(Array.from({ length: 100 }, () => tell(id)));
    await Promise.all(
      Array.from({ length: 10 }, () => refreshBilling(app.services, [id, id], 'service:test', new Date())),
    );
    await untilStanding(id, 'grace');
    await until(
      () => Promise.resolve(app.broker.queueCounts()['billing-changes']),
      (counts) => counts?.active === 0,
    );
    const entries = await until(
      () => trail(key),
      (items) => items.length > 0,
    );
    expect(entries.map(({ action }) => action)).toEqual(['billing.grace_began']);
  });
});

describe('the event billing.changed', () => {
  it('cannot leave an older answer where two are consumed at once', async () => {
    const { id } = await addTenant('professional');
    await subscribe(id, { status: 'past_due', since: days(-20) });
    const gate = makeGate();
    const hasRead = makeGate();
    const { crossTenant } = app.services;
    const slow = {
      ...app.services,
      crossTenant: {
        ...crossTenant,
        billing: {
          query: async (text: string, parameters: never) => {
            const rows = await crossTenant.billing.query(text, parameters);
            hasRead.open();
            await gate.opened;
            return rows;
          },
        },
      },
    } as unknown as ConsumeServices;
    const first = refreshBilling(slow, [id], 'service:test', new Date());
    await hasRead.opened;
    await subscribe(id, { status: 'active' });
    let isDone = false;
    const second = refreshBilling(app.services, [id], 'service:test', new Date()).then(() => (isDone = true));
    await until(
      async () =>
        isDone ||
        (
          await core`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
        ).length > 0,
      Boolean,
    );
    gate.open();
    await Promise.all([first, second]);
    expect((await rowOf(id))?.['billing_standing']).toBe('good');
  });

  it('changes nothing of an erased tenant, even if it is still in a cache', async () => {
    const { id } = await addTenant('professional');
    await app.services.tenants.find(id);
    await core`update tenants set status = 'erased' where tenant_id = ${id}`;
    await subscribe(id, { status: 'past_due', since: days(-20) });
    const before = await rowOf(id);
    const event = billingChanged(id, new Date()).events[0];
    await openBatch(
      app.services,
      'billing-changes',
      [billingChangedConsumer],
      receivedMessages([event], {}),
    ).consume();
    expect(await rowOf(id)).toEqual(before);
  });

  it('of an unknown tenant goes to quarantine, and does not stop the others of its batch', async () => {
    const { id } = await addTenant('professional');
    await subscribe(id, { status: 'past_due', since: days(-20) });
    const events = ['nobody-at-all', id].map((tenant) => billingChanged(tenant, new Date()).events[0]);
    await openBatch(
      app.services,
      'billing-changes',
      [billingChangedConsumer],
      receivedMessages(events, {}),
    ).consume();
    expect((await rowOf(id))?.['billing_standing']).toBe('read_only');
    expect(await core`select from ops.quarantine where tenant_id = 'nobody-at-all'`).toHaveLength(1);
  });

  it('leaves the platform’s own tenant alone', async () => {
    const before = await rowOf('platform');
    expect(await refreshBilling(app.services, ['platform'], 'service:test', new Date())).toBe(0);
    expect(await rowOf('platform')).toEqual(before);
  });
});

describe('dunning-advance', () => {
  it('gives back uses of promotional codes whose checkout came to nothing', async () => {
    await billing`insert into promotional_codes (code, discount_type, discount_value, max_uses, current_uses)
      values ('LEFT', 'percentage', 10, 3, 1)`;
    await billing`insert into promotional_code_usage (tenant_id, code, status, checkout_session_id, reserved_at)
      values ('acme', 'LEFT', 'reserved', ${randomUUID()}, ${days(-3)})`;
    const { body } = await runDunning(new Date());
    expect(body).toMatchObject({ status: 'completed', details: { uses_released: 1 } });
    expect(await billing`select current_uses from promotional_codes where code = 'LEFT'`).toMatchObject([
      { current_uses: 0 },
    ]);
  });
});

describe('a paid plan', () => {
  const others = [app.services, openServices(app.settings)] as const;
  afterAll(() => others[1].close());

  it.each([1, 2, 3])(
    `works within ${ACTS_WITHIN_S} s on every instance (%i)`,
    async () => {
      const { id, key } = await addTenant();
      const hasPlan = [
        ...others.map(
          ({ tenants }) =>
            async () =>
              (await tenants.find(id))?.planId === 'professional',
        ),
        async () => (await app.request('GET', '/api/v1/usage', { key })).body.plan_id === 'professional',
      ];
      // Every instance has just read the old plan: the longest that a memory can be behind.
      expect(await Promise.all(hasPlan.map((ask) => ask()))).toEqual([false, false, false]);
      const paidAt = performance.now();
      await change(id, { status: 'active' });
      const took = await Promise.all(
        hasPlan.map(async (ask) => {
          await until(ask, Boolean);
          return performance.now() - paidAt;
        }),
      );
      expect(Math.max(...took)).toBeLessThan(ACTS_WITHIN_S * 1000);
    },
    30_000,
  );
});

describe('the API’s document', () => {
  it('has the header of a billing standing at every answer with a credential', async () => {
    const { body } = await app.request('GET', '/api/openapi.json');
    expect(body.components.headers['Billing-Standing'].description).toContain('grace-ends');
    expect(body.components.responses.Problem402.headers).toHaveProperty('Billing-Standing');
    const { responses } = body.paths['/api/v1/mappings'].post;
    expect(responses['201'].headers['Billing-Standing']).toEqual({
      $ref: '#/components/headers/Billing-Standing',
    });
    expect(JSON.stringify(body.paths['/api/health/live'])).not.toContain('Billing-Standing');
  });
});
