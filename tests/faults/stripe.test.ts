import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { until } from '../harness/app.ts';
import { signatureOf, stripeEvent, WEBHOOK_PATH } from '../harness/stripe-webhooks.ts';
import { notePids } from './fault-stack.ts';
import { NEXT_TIMER_S, openStripeScene, RECONCILE_SOON, RELAY_SOON } from './stripe-scene.ts';
import { expectNothingLeft } from './verify-leftovers.ts';

// Billing on real processes: the host dies between Stripe and the database, Stripe is away, PostgreSQL restarts.

const SCENARIO_MS = 240_000;
/** What a person waits at most for an answer when Stripe is away. */
const AWAY_MS = 2_000;

const scene = await openStripeScene();
const {
  faults,
  bus,
  standIn,
  stripe,
  secretKey,
  webhookSecret,
  checkOut,
  changePlan,
  map,
  pay,
  planOf,
  untilPlan,
  addPayer,
  addTenant,
  ask,
  everythingOf,
  control,
  holdNext,
  killHost,
  startHost,
  waiting,
  untilProcessed,
  expectAllStored,
} = scene;
const { stack, sql } = faults;

describe('one customer, one subscription, one charge', { timeout: SCENARIO_MS }, () => {
  test('when the host is killed between the webhooks and their consumer', async () => {
    const tenant = await addTenant();
    const opened = await checkOut(tenant);
    expect(opened.status).toBe(201);
    // The broker's messages do not reach the consumer.
    bus.triggers.hold('down');
    await pay(opened);
    await control('GET', 'webhooks/settled');
    expect((await waiting()).length).toBeGreaterThan(5);
    expect(await planOf(tenant)).toBe('free');
    await killHost();
    await startHost();
    await untilPlan(tenant, 'starter', 30);
    await untilProcessed();
    const all = await everythingOf(tenant);
    expect(all).toMatchObject({
      customers: [{}],
      subscriptions: [{ status: 'active' }],
      charges: [{ amount: 2900 }],
      rows: [{ plan_id: 'starter', status: 'active' }],
      payments: [{ status: 'succeeded' }],
    });
  });

  test.each(['/v1/customers', '/v1/checkout/sessions'])(
    'when the host is killed between Stripe’s answer to POST %s and the commit, and the request is sent again',
    async (where) => {
      const tenant = await addTenant();
      const held = await holdNext(where, 'after');
      const lost = checkOut(tenant, 'buy').catch((error: unknown) => error);
      await held.reached;
      await killHost();
      await held.release('cut');
      expect(await lost).toBeInstanceOf(Error);
      await startHost(RELAY_SOON);
      const again = await checkOut(tenant, 'buy');
      expect(again.status).toBe(201);
      await pay(again);
      await untilPlan(tenant, 'starter', 30);
      await untilProcessed();
      const all = await everythingOf(tenant);
      expect(all).toMatchObject({
        customers: [{}],
        subscriptions: [{ status: 'active' }],
        charges: [{ amount: 2900 }],
        sessions: [{ status: 'complete' }],
        rows: [{ plan_id: 'starter', status: 'active' }],
        payments: [{ status: 'succeeded' }],
      });
    },
  );

  test('when the host is killed between Stripe’s answer to a change of plan and the commit, and it is sent again', async () => {
    const tenant = await addPayer();
    const [subscription] = (await everythingOf(tenant)).subscriptions;
    const where = `/v1/subscriptions/${subscription?.id ?? ''}`;
    await untilProcessed();
    // The look at the subscription comes first.
    const looked = await holdNext(where, 'before');
    const lost = changePlan(tenant, 'upgrade').catch((error: unknown) => error);
    await looked.reached;
    const held = await holdNext(where, 'after');
    await looked.release('go');
    await held.reached;
    await killHost();
    await held.release('cut');
    expect(await lost).toBeInstanceOf(Error);
    await startHost();
    const again = await changePlan(tenant, 'upgrade');
    expect([again.status, again.body.plan_id]).toEqual([200, 'professional']);
    await untilPlan(tenant, 'professional', 30);
    await untilProcessed();
    const all = await everythingOf(tenant);
    expect(all).toMatchObject({
      customers: [{}],
      subscriptions: [{ status: 'active' }],
      rows: [{ plan_id: 'professional', status: 'active' }],
    });
    // The first payment, and the one of the change.
    expect([all.charges.length, all.payments.length]).toEqual([2, 2]);
  });
});

describe('while Stripe is away', { timeout: SCENARIO_MS }, () => {
  test('a checkout is 503 within two seconds, all else works, and events are taken and processed when it is back', async () => {
    await killHost();
    await startHost(RECONCILE_SOON);
    const payer = await addPayer();
    const tenant = await addTenant();
    const [subscription] = (await everythingOf(payer)).subscriptions;
    await untilProcessed();
    notePids(faults);
    await standIn.stop();
    const begun = performance.now();
    const refused = await checkOut(tenant);
    expect(performance.now() - begun).toBeLessThan(AWAY_MS);
    expect([refused.status, refused.body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    for (const one of [payer, tenant]) {
      expect((await map(one)).status).toBe(201);
      for (const where of ['usage', 'billing/subscription', 'billing/invoices', 'billing/plans'])
        expect([where, (await ask(one, 'GET', where)).status]).toEqual([where, 200]);
    }
    const event = stripeEvent('customer.subscription.updated', {
      id: subscription?.id,
      object: 'subscription',
    });
    const text = JSON.stringify(event, null, 2);
    const taken = await fetch(`${stack.baseUrl}${WEBHOOK_PATH}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'stripe-signature': signatureOf(text, webhookSecret),
      },
      body: text,
    });
    expect(taken.status).toBe(200);
    const rowOf = async () =>
      (await sql.billing`select status, attempts from stripe_events where event_id = ${event.id}`)[0];
    await until(rowOf, (row) => Number(row?.['attempts']) > 0, 30);
    expect(await rowOf()).toMatchObject({ status: 'received' });
    await standIn.start();
    notePids(faults);
    await until(rowOf, (row) => row?.['status'] === 'processed', NEXT_TIMER_S);
    await pay(await checkOut(tenant));
    await untilPlan(tenant, 'starter');
    await untilProcessed();
  });
});

describe('when PostgreSQL is restarted', { timeout: SCENARIO_MS }, () => {
  test('while webhooks come, no event is lost', async () => {
    const payer = await addPayer();
    const [customer] = (await everythingOf(payer)).customers;
    const id = customer?.id ?? '';
    await control('POST', 'webhooks/faults', { delay_ms: { min: 0, max: 4_000 }, duplicate: { times: 2 } });
    const changes = (async () => {
      for (let n = 0; n < 60; n++) {
        await stripe.customers.update(id, { description: `change ${n}` });
        await delay(50);
      }
      await stripe.customers.update(id, { metadata: { last: 'yes' } });
    })();
    await delay(700);
    await stack.postgres.stop('immediate');
    await delay(2_000);
    await stack.postgres.start();
    notePids(faults);
    await changes;
    const settled = await control('GET', 'webhooks/settled?timeout_ms=60000');
    expect(settled).toMatchObject({ settled: true });
    await control('DELETE', 'webhooks/faults');
    const { deliveries } = (await control('GET', 'webhooks/deliveries')) as {
      deliveries: { attempts: number }[];
    };
    expect(deliveries.some(({ attempts }) => attempts > 1)).toBe(true);
    await untilProcessed();
    await expectAllStored();
    await expectNothingLeft(faults);
  });
});

test('no log has a card number, a secret, a key of a tenant or the content of an event', () => {
  const folder = path.join(stack.folder, 'logs');
  const logs = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
  const text = [...faults.hostLog, ...logs].join('\n');
  expect(text).toContain('stripe-unavailable');
  const forbidden = [
    /4242 ?4242/,
    /"last4"|"fingerprint"/,
    /"object": ?"(event|charge|customer|invoice|subscription)"/,
    /_stand-in\/pages\//,
    /whsec_\w/,
    new RegExp(secretKey),
    new RegExp(stack.file.operator),
  ];
  for (const pattern of forbidden) expect(pattern.exec(text)?.[0]).toBeUndefined();
});
