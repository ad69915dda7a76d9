import fc from 'fast-check';
import type Stripe from 'stripe';
import { expect } from 'vitest';
import { stripeEventsConsumer } from '../../shared/domains/billing/events/consume-events.ts';
import { receiveWebhook } from '../../shared/domains/billing/events/receive-webhook.ts';
import { stripeReconcile } from '../../shared/domains/billing/events/reconcile-job.ts';
import { OVERDUE_MS, receivedEntry } from '../../shared/domains/billing/events/store-events.ts';
import { refreshBilling } from '../../shared/domains/tenancy/refresh-billing.ts';
import type { StripeEventData } from '../../shared/platform/bus/events.ts';
import type { CallServices } from '../../shared/platform/call/call.ts';
import type { ReceivedEvent } from '../../shared/platform/consume/read-event.ts';
import { retryWithBackoff } from '../../shared/platform/consume/retry-with-backoff.ts';
import { runJob } from '../../shared/platform/jobs/job.ts';
import { writePosition } from '../../shared/platform/jobs/watermarks.ts';
import { MINUTE_MS } from '../../shared/platform/time/clock.ts';
import type { Plans } from '../../dev/stripe/test-billing.ts';
import { startBillingApp, type BillingApp } from './billing-app.ts';
import { readBillingRows } from './billing-rows.ts';
import { beginStory, kindsOf, type Story, type StoryKind } from './billing-story.ts';
import { Lanes } from './lanes.ts';
import { makeTenant, sellPlans } from './stripe-payers.ts';
import { signatureOf, stripeId } from './stripe-webhooks.ts';

/** One delivery of an event. */
interface Copy {
  /** How many steps of the story come in between. */
  readonly delay: number;
  /** Orders the deliveries of a moment. */
  readonly rank: number;
  /** `lost`: it is stored, and its message never comes. `twin`: another Event object of the same change, as Stripe may make. */
  readonly how: 'whole' | 'lost' | 'twin';
}

/** How the events of one story come. */
interface Weather {
  readonly kind: StoryKind;
  /** Whether the tenant's customer is known here before the first event tells of it. */
  readonly isKnown: boolean;
  /** The deliveries of each event, none if it is dropped. The event n has those of n modulo the length. */
  readonly fates: readonly (readonly Copy[])[];
  /** What follows each step: `nothing` comes yet; deliveries one `after` the other half, both halves at `once`, or `during` the next step. */
  readonly moments: readonly ('nothing' | 'after' | 'once' | 'during')[];
}

const copy = fc.record<Copy>({
  delay: fc.nat({ max: 3 }),
  rank: fc.nat({ max: 999 }),
  how: fc.constantFrom('whole', 'whole', 'whole', 'whole', 'lost', 'twin'),
});
const fate = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Copy[]>([]) },
  { weight: 5, arbitrary: fc.array(copy, { minLength: 1, maxLength: 1 }) },
  { weight: 1, arbitrary: fc.array(copy, { minLength: 2, maxLength: 3 }) },
);

function weatherOf(signup: StoryKind['signup']): fc.Arbitrary<Weather> {
  return fc.record({
    kind: fc.constantFrom(...kindsOf(signup)),
    isKnown: fc.boolean(),
    fates: fc.array(fate, { minLength: 1, maxLength: 31, size: 'max' }),
    moments: fc.array(fc.constantFrom('nothing', 'nothing', 'nothing', 'after', 'once', 'during'), {
      minLength: 7,
      maxLength: 7,
    }),
  });
}

type Services = Omit<BillingApp['app']['services'], 'publisher'> & Pick<CallServices, 'publisher'>;

/** How much is tried. */
interface Extent {
  readonly signup: StoryKind['signup'];
  readonly runs: number;
}

/** Stories side by side: enough to keep the stand-in and PostgreSQL busy, as each of them often waits. */
const LANES = 6;

/** Opens an app that gets no message and no webhook but by the laws. Call it at the top level of a test file. */
export async function openBillingLaws(): Promise<BillingLaws> {
  const scene = await startBillingApp({ webhooks: false, silent: ['http', 'serviceBus', 'timer'] });
  const plans = await sellPlans(scene);
  // Else the stand-in would try to deliver every event, ten times.
  await scene.stripe.stripe.webhookEndpoints.update(scene.webhookEndpoint, { disabled: true });
  return new BillingLaws(scene, plans);
}

/** Checks, for many stories and ways in which their events may come, that the rows are as if they had come in order. */
class BillingLaws {
  readonly #scene: BillingApp;
  #plans: Plans;
  #meetings = 0;
  readonly #services: Services;
  readonly #secret: string;
  readonly #inOrder = new Map<string, Promise<string>>();
  #tenants = 0;
  /** The second before which no event of the running stories came. */
  #since = nowInSeconds();

  constructor(scene: BillingApp, plans: Plans) {
    this.#scene = scene;
    this.#plans = plans;
    this.#secret = scene.webhookSecret;
    // The test decides which message comes when, so nothing is sent to the broker.
    this.#services = { ...scene.app.services, publisher: { publish: () => undefined } };
  }

  /**
   * Returns how many stories were played. `BILLING_LAWS_SEED` plays those of an earlier run again.
   * @throws fast-check's report of the shortest counterexample.
   */
  async check({ signup, runs }: Extent): Promise<number> {
    const seed = Number(process.env['BILLING_LAWS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    console.info(`BILLING_LAWS_SEED=${seed}`);
    const lanes = new Lanes(LANES, () => this.#reconcile());
    const each = Math.ceil(runs / LANES);
    let played = 0;
    const checks = Array.from({ length: LANES }, async (_none, lane) => {
      const law = fc.asyncProperty(weatherOf(signup), async (weather) => {
        await this.#play(weather, lanes);
        played += 1;
      });
      try {
        await fc.assert(law, { numRuns: each, seed: seed + lane });
      } finally {
        lanes.leave();
      }
    });
    const failed = (await Promise.allSettled(checks)).find((check) => check.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return played;
  }

  async #play(weather: Weather, lanes: Lanes): Promise<void> {
    const tenantId = await this.#addTenant();
    const story = await beginStory(this.#scene.stripe, this.#plans, tenantId, weather.kind);
    if (weather.isKnown) await this.#know(tenantId, story);
    try {
      await this.#deliverAll(story, weather);
    } finally {
      await lanes.meet();
    }
    await this.#tell(tenantId);
    const expected = await this.#readInOrder(weather.kind);
    expect(await readBillingRows(this.#scene, tenantId)).toBe(expected);
  }

  /**
   * Tells the story, and delivers its events as the weather has it. What is due after the last step comes then, or only its
   * webhooks do: then the timer finds what waits.
   */
  async #deliverAll(story: Story, { fates, moments }: Weather): Promise<void> {
    let waiting: { readonly event: Stripe.Event; readonly copy: Copy; readonly due: number }[] = [];
    let seen = 0;
    let beside: Promise<unknown> = Promise.resolve();
    for (const [n, step] of story.steps.entries()) {
      await Promise.all([step(), beside]);
      beside = Promise.resolve();
      for (; seen < story.events.length; seen++) {
        const event = story.events[seen];
        const copies = fates[seen % fates.length] ?? [];
        if (event !== undefined)
          waiting.push(...copies.map((one) => ({ event, copy: one, due: n + one.delay })));
      }
      const moment = moments[n] ?? 'nothing';
      const isLast = n === story.steps.length - 1;
      if (moment === 'nothing' && !isLast) continue;
      const due = waiting.filter((one) => isLast || one.due <= n).sort((a, b) => a.copy.rank - b.copy.rank);
      waiting = waiting.filter((one) => !due.includes(one));
      const halves = [0, 1].map((half) => due.filter(({ copy: { rank } }) => rank % 2 === half));
      if (moment === 'nothing') await Promise.all(due.map(({ event }) => this.#receive(event)));
      else if (moment === 'after') for (const half of halves) await this.#deliver(half);
      else beside = Promise.all(halves.map((half) => this.#deliver(half)));
      if (moment === 'once') await beside;
    }
    await beside;
  }

  async #deliver(
    deliveries: readonly { readonly event: Stripe.Event; readonly copy: Copy }[],
  ): Promise<void> {
    const ids = await Promise.all(
      deliveries.map(async ({ event, copy: { how } }) => {
        const sent = how === 'twin' ? { ...event, id: stripeId('evt') } : event;
        await this.#receive(sent);
        return how === 'lost' ? [] : [sent.id];
      }),
    );
    await this.#consume(ids.flat());
  }

  async #receive(event: Stripe.Event): Promise<void> {
    const text = JSON.stringify(event);
    await receiveWebhook(this.#services, {
      bytes: Buffer.from(text),
      signature: signatureOf(text, this.#secret),
    });
  }

  async #consume(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const now = new Date();
    const events = ids.map((id) => {
      const { events: sent } = receivedEntry(id, now);
      return { ...sent[0], data: { stripe_event_id: id } } as ReceivedEvent<StripeEventData>;
    });
    await retryWithBackoff(() => stripeEventsConsumer.write(this.#services, events, now));
  }

  /** What the timer does of all that did not come: it lists Stripe's events, then takes what waits. It compares no objects. */
  async #reconcile(): Promise<void> {
    const until = nowInSeconds();
    const from = { events_until: this.#since + OVERLAP_SECONDS, compared_at: new Date().toISOString() };
    const runAt = async (asOf: Date, listedAt?: Date): Promise<void> => {
      const position = { ...from, ...(listedAt === undefined ? {} : { listed_at: listedAt.toISOString() }) };
      await writePosition(this.#services.crossTenant.core, stripeReconcile.name, position);
      const { status } = await runJob(this.#services, stripeReconcile, { triggeredBy: 'test', asOf });
      expect(status).toBe('completed');
    };
    await runAt(new Date());
    // As the timer does, it tries again what a busy database did not do.
    for (let turn = 1; turn <= TURNS_MAX && (turn === 1 || (await this.#waiting()) > 0); turn++) {
      const due = new Date(Date.now() + turn * (OVERDUE_MS + MINUTE_MS));
      await runAt(due, due);
    }
    expect(await this.#waiting()).toBe(0);
    this.#since = until - 2;
    this.#meetings += 1;
    if (this.#meetings % MEETINGS_KEPT === 0) await this.#forget();
  }

  /** Begins with an empty Stripe again, as its lists grow. All stories are at their end now. */
  async #forget(): Promise<void> {
    this.#scene.stripe.server.standIn.reset();
    this.#plans = await sellPlans(this.#scene);
  }

  async #waiting(): Promise<number> {
    const rows = await this.#scene.app.admin.billing`select from stripe_events where status = 'received'`;
    return rows.length;
  }

  /** What core is told of a tenant's billing. */
  async #tell(tenantId: string): Promise<void> {
    await refreshBilling(this.#services, [tenantId], 'service:billing-changes', new Date());
  }

  /** The rows of a story whose events come one by one, in their order. */
  #readInOrder(kind: StoryKind): Promise<string> {
    const name = JSON.stringify(kind);
    let found = this.#inOrder.get(name);
    if (found === undefined) this.#inOrder.set(name, (found = this.#playInOrder(kind)));
    return found;
  }

  async #playInOrder(kind: StoryKind): Promise<string> {
    const tenantId = await this.#addTenant();
    const story = await beginStory(this.#scene.stripe, this.#plans, tenantId, kind);
    await this.#know(tenantId, story);
    let seen = 0;
    for (const step of story.steps) {
      await step();
      for (const event of story.events.slice(seen)) {
        await this.#receive(event);
        await this.#consume([event.id]);
      }
      seen = story.events.length;
    }
    await this.#tell(tenantId);
    return readBillingRows(this.#scene, tenantId);
  }

  #addTenant(): Promise<string> {
    this.#tenants += 1;
    return makeTenant(this.#scene, `law-${this.#tenants}`);
  }

  async #know(tenantId: string, { customer }: Story): Promise<void> {
    await this.#scene.app.admin.billing`insert into ops.stripe_customers (tenant_id, stripe_customer_id)
      values (${tenantId}, ${customer})`;
  }
}

/** After so many common reconciles, Stripe forgets. */
const MEETINGS_KEPT = 8;

/** How often the timer takes what waits. */
const TURNS_MAX = 5;

/** The timer begins so long before what it knows. */
const OVERLAP_SECONDS = 15 * 60;

const nowInSeconds = (): number => Math.floor(Date.now() / 1000);
