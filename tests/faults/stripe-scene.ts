import Stripe from 'stripe';
import { afterAll, expect } from 'vitest';
import { cardForm, postForm } from '../../dev/stripe/test-billing.ts';
import { STRIPE_API_VERSION } from '../../shared/domains/billing/stripe/client.ts';
import { until } from '../harness/app.ts';
import type { Answer } from './client.ts';
import { notePids, startFaultStack } from './fault-stack.ts';
import { expectNoProcess } from './verify-leftovers.ts';

/** Timers run every minute. */
export const NEXT_TIMER_S = 100;
const MINUTE_MS = 60_000;

/** When a timer of each minute first runs after a start of the host. */
interface FirstRun {
  /** The second of the minute at which the timer runs. */
  readonly second: number;
  readonly afterS: number;
}
/** For events that were put back: they are due after ten seconds at most, and Stripe is back by then. */
export const RECONCILE_SOON: FirstRun = { second: 30, afterS: 25 };
/** For events that a killed host did not publish: `outbox-relay` leaves out rows of the last nine seconds. */
export const RELAY_SOON: FirstRun = { second: 0, afterS: 10 };

/** A tenant with its owner's key. */
interface Tenant {
  readonly id: string;
  readonly key: string;
}

/** A stack of processes on which tenants pay. Call it at the top level; it stops with the file and must leave nothing behind. */
export async function openStripeScene() {
  const faults = await startFaultStack({ withBusProxies: true });
  afterAll(async () => {
    await faults.stop();
    await expectNoProcess(faults);
  });
  const { stack, sql, client, bus } = faults;
  if (stack.stripe === null || bus === undefined) throw new Error('the stack lacks a part');
  const standIn = stack.stripe;

  const secretKey = stack.settings['STRIPE_SECRET_KEY'] ?? '';
  const webhookSecret = stack.settings['STRIPE_WEBHOOK_SECRETS'] ?? '';
  const stripe = new Stripe(secretKey, {
    host: '127.0.0.1',
    port: Number(new URL(standIn.ready.url).port),
    protocol: 'http',
    apiVersion: STRIPE_API_VERSION,
    telemetry: false,
  });

  let made = 0;
  /** A tenant on the free plan, with its owner's key. */
  async function addTenant(): Promise<Tenant> {
    const id = `payer-${(made += 1)}`;
    const { status, body } = await client.ask({
      method: 'POST',
      path: '/api/v1/platform/tenants',
      key: stack.keys.operator,
      body: { tenant_id: id, name: id, plan_id: 'free' },
    });
    expect(status).toBe(201);
    return { id, key: body.owner_api_key };
  }

  const ask = (
    tenant: Tenant,
    method: string,
    where: string,
    body?: unknown,
    name?: string,
  ): Promise<Answer> =>
    client.ask({
      method,
      path: `/api/v1/${where}`,
      key: tenant.key,
      ...(body === undefined ? {} : { body }),
      ...(name === undefined ? {} : { headers: { 'idempotency-key': name } }),
    });

  const checkOut = (tenant: Tenant, name?: string): Promise<Answer> => {
    const body = {
      plan_id: 'starter',
      billing_cycle: 'monthly',
      success_url: `${stack.baseUrl}/paid`,
      cancel_url: `${stack.baseUrl}/plans`,
    };
    return ask(tenant, 'POST', 'billing/checkout-sessions', body, name);
  };

  const changePlan = (tenant: Tenant, name: string): Promise<Answer> =>
    ask(
      tenant,
      'POST',
      'billing/subscription/change',
      { plan_id: 'professional', billing_cycle: 'monthly' },
      name,
    );

  const map = (tenant: Tenant): Promise<Answer> =>
    ask(tenant, 'POST', 'mappings', { detector: 'd', source_data: 's', model_version: 'v' });

  async function pay({ body }: Answer): Promise<void> {
    const paid = await postForm(body.url, { action: 'pay', ...cardForm('pays') });
    expect([302, 303]).toContain(paid.status);
  }

  const planOf = async ({ id }: Tenant): Promise<unknown> =>
    (await sql.core`select plan_id from tenants where tenant_id = ${id}`)[0]?.['plan_id'];

  const untilPlan = (tenant: Tenant, plan: string, seconds?: number): Promise<unknown> =>
    until(
      () => planOf(tenant),
      (found) => found === plan,
      seconds,
    );

  /** A tenant that has paid for starter. */
  async function addPayer(): Promise<Tenant> {
    const tenant = await addTenant();
    await pay(await checkOut(tenant));
    await untilPlan(tenant, 'starter');
    return tenant;
  }

  /** All that Stripe has of a tenant, and the rows of it. */
  async function everythingOf({ id }: Tenant) {
    const customers = (
      await stripe.customers.list({ limit: 100 }).autoPagingToArray({ limit: 1_000 })
    ).filter(({ metadata }) => metadata['tenant_id'] === id);
    const customer = customers[0]?.id ?? '';
    const subscriptions = (await stripe.subscriptions.list({ customer, status: 'all' })).data;
    const charges = (await stripe.charges.list({ customer, limit: 100 })).data.filter(({ paid }) => paid);
    const sessions = (await stripe.checkout.sessions.list({ customer, limit: 100 })).data;
    const rows =
      await sql.billing`select stripe_subscription_id as id, plan_id, status from user_subscriptions
    where tenant_id = ${id}`;
    const payments = await sql.billing`select status from billing_payments where tenant_id = ${id}`;
    return { customers, subscriptions, charges, sessions, rows: [...rows], payments: [...payments] };
  }

  async function control(method: string, where: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await fetch(`${standIn.ready.url}/_stand-in/${where}`, {
      method,
      headers: { authorization: `Bearer ${secretKey}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await answer.json()) as Record<string, unknown>;
  }

  async function holdNext(where: string, point: 'before' | 'after') {
    const { id } = await control('POST', 'holds', { path: where, point });
    return {
      reached: control('GET', `holds/${String(id)}`),
      release: (how: 'go' | 'cut') => control('POST', `holds/${String(id)}/release`, { how }),
    };
  }

  /** Like a crash: what waits in a proxy is lost. */
  async function killHost(): Promise<void> {
    notePids(faults);
    await stack.host.kill();
  }

  let aheadMs = 0;
  /** Sets the host's clock ahead, a minute at most, so that a timer runs soon. Never back, as rows would seem younger. */
  function bringForward({ second, afterS }: FirstRun): void {
    const then = Date.now() + aheadMs + afterS * 1_000;
    aheadMs += (((second * 1_000 - then) % MINUTE_MS) + MINUTE_MS) % MINUTE_MS;
    faults.setClock(aheadMs);
  }

  async function startHost(first?: FirstRun): Promise<void> {
    bus?.publisher.release();
    bus?.triggers.release();
    if (first !== undefined) bringForward(first);
    await stack.host.start();
    notePids(faults);
  }

  const waiting = () =>
    sql.billing`select type, attempts, error, next_attempt_at from stripe_events where status = 'received'`;

  /**
   * Everything that Stripe has sent has an outcome, and none of it is an error. Where a process died before it published a
   * message, or Stripe did not answer in time, a timer finds it, each minute.
   */
  async function untilProcessed(): Promise<void> {
    await until(waiting, (rows) => rows.length === 0, NEXT_TIMER_S);
    const failed = await sql.billing`select event_id, type, error from stripe_events where status = 'failed'`;
    expect([...failed]).toEqual([]);
  }

  /** Every event that Stripe has and that concerns this app is stored. */
  async function expectAllStored(): Promise<void> {
    const events = await stripe.events.list({ limit: 100 }).autoPagingToArray({ limit: 10_000 });
    const stored = new Set(
      (await sql.billing`select event_id from stripe_events`).map((row) => row['event_id']),
    );
    expect(events.filter(({ id }) => !stored.has(id)).map(({ type }) => type)).toEqual([]);
  }

  return {
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
  };
}
