import Stripe from 'stripe';
import { cardForm, postForm } from '../../dev/stripe/test-billing.ts';
import type { Stack } from '../../dev/stack/start-stack.ts';
import { withConnection } from '../../tools/migrate/connect.ts';
import { STRIPE_API_VERSION } from '../../shared/domains/billing/stripe/client.ts';
import { HttpClient, type Answer, type Asked } from '../faults/client.ts';
import type { LoadTenant } from '../faults/load.ts';
import { eventually } from './eventually.ts';

/** More than any load here. */
const AMPLE = 1_000_000;
/** What the metered plan includes. Beyond it, each call is charged. */
export const INCLUDED_CALLS = 20;
/** Where a checkout sends a person back. */
export const RETURN_ORIGIN = 'https://drill.comply-ai.example';
/** A message passes Stripe, a webhook and two queues. */
const EFFECT_S = 60;

/** A tenant with its owner's key. */
export interface Owner {
  readonly id: string;
  readonly key: string;
}

/** What the drill does to the stack, as a client. */
export interface Scene {
  readonly client: HttpClient;
  readonly stripe: Stripe;
  /** The tenants of the load. The last one pays for each call. */
  readonly tenants: readonly [LoadTenant, ...LoadTenant[]];
  readonly metered: Owner;
  /** A tenant whose people act, without any load. */
  readonly people: Owner;
  /** A tenant that begins to pay after the earliest moment. */
  readonly buyer: Owner;
  /** Sends a request, again while it is answered with 503. */
  ask(asked: Asked): Promise<Answer>;
  runJob(job: string, asOf?: Date): Promise<Record<string, unknown>>;
  /** A checkout by card, until the tenant has the plan. */
  buy(owner: Owner): Promise<void>;
  planOf(owner: Owner): Promise<string>;
  /** Units of calls that Stripe has counted of the metered tenant. */
  countedUnits(): Promise<number>;
}

function connectStripe({ stripe, settings }: Stack): Stripe {
  if (stripe === null) throw new Error('the drill needs the stand-in for Stripe');
  return new Stripe(settings['STRIPE_SECRET_KEY'] ?? '', {
    host: '127.0.0.1',
    port: Number(new URL(stripe.ready.url).port),
    protocol: 'http',
    apiVersion: STRIPE_API_VERSION,
    telemetry: false,
  });
}

async function setLimits(stack: Stack): Promise<void> {
  await withConnection(stack.adminUrls.billing, async (client) => {
    await client.query(
      `update billing_plans set limits = (select jsonb_object_agg(key, $1::int) from jsonb_each(limits)) where plan_id = 'free'`,
      [AMPLE],
    );
    await client.query(
      `update billing_plans set limits = limits || jsonb_build_object('api_calls', $1::int) where plan_id = 'starter'`,
      [INCLUDED_CALLS],
    );
    await client.query('update free_tier_usage set usage_limit = $1', [AMPLE]);
  });
}

/** Makes the drill's tenants, and one of them pays. */
export async function openScene(stack: Stack): Promise<Scene> {
  const client = new HttpClient(stack.baseUrl);
  const stripe = connectStripe(stack);
  const { operator } = stack.keys;
  // On a busy machine, Stripe's stand-in may not answer in time.
  const served = (asked: Asked): Promise<Answer> =>
    eventually(
      () => client.ask(asked),
      (answer) => answer.status !== 503,
      EFFECT_S,
    );
  const expected = async (status: number, asked: Asked): Promise<Answer> => {
    const answer = await served(asked);
    if (answer.status !== status)
      throw new Error(`${asked.method} ${asked.path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  };
  const addTenant = async (id: string): Promise<Owner> => {
    const body = {
      tenant_id: id,
      name: id,
      plan_id: 'free',
      rate_limit_per_hour: AMPLE,
      rate_limit_per_day: AMPLE,
    };
    const made = await expected(201, {
      method: 'POST',
      path: '/api/v1/platform/tenants',
      key: operator,
      body,
    });
    return { id, key: made.body.owner_api_key };
  };
  const planOf = async ({ key }: Owner): Promise<string> =>
    (await expected(200, { method: 'GET', path: '/api/v1/billing/subscription', key })).body.plan_id;
  const buy = async (owner: Owner): Promise<void> => {
    const body = {
      plan_id: 'starter',
      billing_cycle: 'monthly',
      success_url: `${RETURN_ORIGIN}/paid`,
      cancel_url: `${RETURN_ORIGIN}/plans`,
    };
    const path = '/api/v1/billing/checkout-sessions';
    const opened = await expected(201, { method: 'POST', path, key: owner.key, body });
    await postForm(opened.body.url, { action: 'pay', ...cardForm('pays') });
    await eventually(
      () => planOf(owner),
      (plan) => plan === 'starter',
      EFFECT_S,
    );
  };
  await setLimits(stack);
  const [metered, people, buyer] = [
    await addTenant('hooli'),
    await addTenant('umbrella'),
    await addTenant('piper'),
  ];
  await buy(metered);
  const { acme, globex } = stack.keys.tenants;
  return {
    client,
    stripe,
    metered,
    people,
    buyer,
    tenants: [
      { tenantId: 'acme', key: acme.writer, free: false },
      { tenantId: 'globex', key: globex.writer, free: true },
      { tenantId: metered.id, key: metered.key, free: false },
    ],
    ask: served,
    async runJob(job, asOf = new Date()) {
      // A timer may run it at the same moment.
      const path = `/api/v1/platform/jobs/${job}/runs`;
      const body = { as_of: asOf.toISOString() };
      const run = await eventually(
        () => client.ask({ method: 'POST', path, key: operator, body }),
        ({ status }) => status !== 409,
        EFFECT_S,
      );
      if (run.status !== 200) throw new Error(`${job}: ${run.status} ${JSON.stringify(run.body)}`);
      return run.body;
    },
    buy,
    planOf,
    async countedUnits() {
      const { data } = await stripe.billing.meters.list();
      const meter = data.find(({ event_name: name }) => name.includes('api_calls'));
      const [customer] = (await stripe.customers.list({ limit: 100 })).data.filter(
        ({ metadata }) => metadata['tenant_id'] === metered.id,
      );
      if (meter === undefined || customer === undefined)
        throw new Error('Stripe has no meter or no customer');
      const minute = 60;
      const now = Math.ceil(Date.now() / 1000 / minute) * minute;
      const sums = await stripe.billing.meters.listEventSummaries(meter.id, {
        customer: customer.id,
        start_time: now - 24 * 60 * minute,
        end_time: now + minute,
      });
      return sums.data.reduce((sum, { aggregated_value: value }) => sum + value, 0);
    },
  };
}
