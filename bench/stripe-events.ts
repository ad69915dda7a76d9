import { openServices } from '../functions/services.ts';
import { receiveWebhook, type WebhookServices } from '../shared/domains/billing/events/receive-webhook.ts';
import { readSettings } from '../shared/platform/config/settings.ts';
import { startTestStripe } from '../dev/stripe/test-stripe.ts';
import type { Bench, Sizes } from './bench.ts';
import { startBenchStack, type BenchStack } from './bench-stack.ts';
import { makeTenants, TENANTS } from './many-tenants.ts';
import { interleave, makeFigure, type Figure } from './figures.ts';
import { signedEvents, signUp, type SignedEvent } from './stripe/make-events.ts';
import { openSyncEngine } from './stripe/sync-engine.ts';
import { undisturbed } from './undisturbed.ts';

/** Deliveries at once, to both sides. Stripe sends no more of them to one endpoint. */
const IN_FLIGHT = 32;
/** A round's events as a share of the rows. */
const EVENTS_SHARE = 0.01;
/** The share of a round's events for the whole way: each of them asks Stripe, too. */
const WHOLE_WAY_SHARE = 0.2;
const WARM_UP_SHARE = 0.2;
const WEBHOOK_PATH = '/api/v1/webhooks/stripe';
const POLL_MS = 50;

/** Runs `work` on all events, {@link IN_FLIGHT} at once. Returns the events a second. */
async function perSecond(
  events: readonly SignedEvent[],
  work: (event: SignedEvent) => Promise<unknown>,
): Promise<number> {
  const rest = events.values();
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (const event of rest) await work(event);
    }),
  );
  return events.length / ((performance.now() - startedAt) / 1000);
}

async function countStored(bench: BenchStack): Promise<{ stored: number; open: number }> {
  const [row] = await bench.billing<{ stored: number; open: number }[]>`
    select count(*)::int as stored, count(*) filter (where status = 'received')::int as open from stripe_events`;
  return row ?? { stored: 0, open: 0 };
}

async function empty(bench: BenchStack): Promise<void> {
  await bench.billing`truncate stripe_events`;
  await bench.billing`truncate ops.outbox`;
  await bench.billing`checkpoint`;
}

/** Events a second from the webhook's function to their rows. Their messages stay in the outbox. */
async function storeRound(
  bench: BenchStack,
  services: WebhookServices,
  events: readonly SignedEvent[],
): Promise<number> {
  await empty(bench);
  const rate = await perSecond(events, ({ payload, signature }) =>
    receiveWebhook(services, { bytes: payload, signature }),
  );
  const { stored } = await countStored(bench);
  if (stored !== events.length) throw new Error(`${stored} of ${events.length} events were stored`);
  return rate;
}

/** Events a second over HTTP, through the queue and Stripe, to the rows of their objects. */
async function wholeWayRound(bench: BenchStack, events: readonly SignedEvent[]): Promise<number> {
  await empty(bench);
  const startedAt = performance.now();
  await perSecond(events, async ({ payload, signature }) => {
    const answer = await fetch(`${bench.stack.baseUrl}${WEBHOOK_PATH}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'stripe-signature': signature },
      body: new Uint8Array(payload),
    });
    if (answer.status !== 200) throw new Error(`the webhook answered ${answer.status}`);
    await answer.arrayBuffer();
  });
  for (;;) {
    const { stored, open } = await countStored(bench);
    if (stored === events.length && open === 0) break;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return events.length / ((performance.now() - startedAt) / 1000);
}

async function measure(sizes: Sizes, say: (line: string) => void): Promise<readonly Figure[]> {
  const stripe = await startTestStripe();
  const { id: endpoint, secret = '' } = await stripe.stripe.webhookEndpoints.create({
    url: 'http://127.0.0.1:9/unused',
    enabled_events: ['*'],
  });
  const events = await signUp(stripe, TENANTS);
  // Only the benchmark delivers events.
  await stripe.stripe.webhookEndpoints.del(endpoint);
  const bench = await startBenchStack('everything', {
    settings: {
      STRIPE_SECRET_KEY: stripe.secretKey,
      STRIPE_API_URL: stripe.server.url,
      STRIPE_WEBHOOK_SECRETS: secret,
      // It would store the events of the signups, which nobody delivers here.
      'AzureWebJobs.stripe-reconcile.Disabled': 'true',
    },
  });
  // The customers are theirs: events of unknown customers would only be listed.
  await makeTenants(bench);
  const services = openServices(readSettings({ ...bench.stack.settings }));
  const engine = await openSyncEngine(bench, {
    secret,
    apiUrl: stripe.server.url,
    connections: services.settings.DATABASE_CROSS_TENANT_POOL_MAX,
  });
  try {
    const count = Math.ceil(sizes.rows * EVENTS_SHARE);
    const fresh = (share = 1) => signedEvents(events, Math.ceil(count * share), secret);
    // Nothing is consumed while the stores are measured.
    await Promise.all(bench.hosts.map((host) => host.stop()));
    const storing = { ...services, publisher: { publish: () => undefined } };
    await perSecond(fresh(WARM_UP_SHARE), (event) => engine.process(event));
    await storeRound(bench, storing, fresh(WARM_UP_SHARE));
    const values = await interleave(
      sizes.rounds,
      () => undisturbed(() => perSecond(fresh(), (event) => engine.process(event)), say),
      () => undisturbed(() => storeRound(bench, storing, fresh()), say),
    );
    await empty(bench);
    await Promise.all(bench.hosts.map((host) => host.start()));
    const whole: number[] = [];
    await wholeWayRound(bench, fresh(WHOLE_WAY_SHARE * WARM_UP_SHARE));
    for (let round = 0; round < sizes.rounds; round += 1)
      whole.push(await undisturbed(() => wholeWayRound(bench, fresh(WHOLE_WAY_SHARE)), say));
    const baseline = {
      name: '@supabase/stripe-sync-engine, processWebhook',
      unit: 'events/s',
      values: values.baseline,
    };
    return [
      makeFigure({
        bench: 'stripe-events',
        name: 'Stripe’s events: the webhook’s store',
        candidate: { name: 'webhook’s store', unit: 'events/s', values: values.candidate },
        baseline,
        target: { bound: 'at least', value: 1.5 },
      }),
      makeFigure({
        bench: 'stripe-events',
        name: 'Stripe’s events: from the webhook to the objects’ rows',
        candidate: { name: 'whole way', unit: 'events/s', values: whole },
        baseline,
        notes: [
          'The whole way goes over HTTP and the queue, fetches each object again from Stripe (here: the stand-in), locks it, and writes it with what the change causes. The sync engine stores what the event says.',
        ],
      }),
    ];
  } finally {
    await engine.close();
    await services.close();
    await bench.stop();
    await stripe.close();
  }
}

/** Stripe's events through the webhook and its consumer. */
export const stripeEventsBench: Bench = {
  name: 'stripe-events',
  what: 'Stripe’s events through the webhook and its consumer, against a library that stores them',
  byDefault: true,
  run: measure,
};
