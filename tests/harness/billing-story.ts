import type Stripe from 'stripe';
import {
  DAY,
  HOUR,
  START,
  advance,
  cardForm,
  idIn,
  postForm,
  type Plans,
} from '../../dev/stripe/test-billing.ts';
import type { TestStripe } from '../../dev/stripe/test-stripe.ts';

/** What differs between two stories. All else of them is the same, to the second of their test clock. */
export interface StoryKind {
  readonly signup: 'checkout' | 'subscription';
  /** When the plan is changed: before or after the payment that fails. */
  readonly change: 'before' | 'after';
  /** How it ends. `past_due`: the payment that fails is the end. `scheduled`: it will end with its period. */
  readonly end: 'canceled' | 'period_over' | 'scheduled' | 'past_due';
}

/** Every kind of story with a signup. */
export function kindsOf(signup: StoryKind['signup']): StoryKind[] {
  const ends = ['canceled', 'period_over', 'scheduled', 'past_due'] as const;
  return (['before', 'after'] as const).flatMap((change) => ends.map((end) => ({ signup, change, end })));
}

const MONTH = 31 * DAY;
/** An invoice is finalized an hour after its renewal. */
const RENEWED = 2 * HOUR;

/** A customer's life at Stripe, with the events that it causes, in their order. */
export interface Story {
  readonly customer: string;
  readonly events: readonly Stripe.Event[];
  /** A signup, a renewal, a failed and a recovered payment, a plan change, a cancellation. Each is done once, in this order. */
  readonly steps: readonly (() => Promise<unknown>)[];
}

/** Gives each story the events of its customer. */
class EventsByCustomer {
  readonly #stories = new Map<string, Stripe.Event[]>();

  constructor({ server }: TestStripe) {
    server.standIn.onEvents((events) => {
      for (const event of events) this.#take(event as Stripe.Event);
    });
  }

  add(customer: string, events: Stripe.Event[]): void {
    this.#stories.set(customer, events);
  }

  #take(event: Stripe.Event): void {
    const object = event.data.object as unknown as Readonly<Record<string, unknown>>;
    const names = [object['customer'], object['invoice'], object['id']].filter(
      (name): name is string => typeof name === 'string',
    );
    const events = names.map((name) => this.#stories.get(name)).find((found) => found !== undefined);
    if (events === undefined) return;
    events.push(event);
    // What pays an invoice names the invoice, and no customer.
    for (const name of names) this.#stories.set(name, events);
  }
}

const watched = new WeakMap<TestStripe, EventsByCustomer>();

function eventsAt(test: TestStripe): EventsByCustomer {
  let found = watched.get(test);
  if (found === undefined) watched.set(test, (found = new EventsByCustomer(test)));
  return found;
}

/** The customer of a story, in the hands of the steps. */
interface Actor {
  readonly stripe: Stripe;
  readonly plans: Plans;
  readonly customer: string;
  /** The time of the test clock, in seconds. */
  now(): number;
  wait(seconds: number): Promise<void>;
}

/** Begins a story: makes its customer, who is the tenant's by the metadata. */
export async function beginStory(
  test: TestStripe,
  plans: Plans,
  tenantId: string,
  kind: StoryKind,
): Promise<Story> {
  const { stripe } = test;
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START });
  const { id: customer } = await stripe.customers.create({
    test_clock: clock.id,
    metadata: { tenant_id: tenantId },
    payment_method: 'pm_card_visa',
    invoice_settings: { default_payment_method: 'pm_card_visa' },
  });
  const events: Stripe.Event[] = [];
  eventsAt(test).add(customer, events);
  let time = START;
  const actor: Actor = {
    stripe,
    plans,
    customer,
    now: () => time,
    wait: (seconds) => advance(test, clock, (time += seconds)),
  };
  return { customer, events, steps: stepsOf(kind).map((step) => () => step(actor)) };
}

type Step = (actor: Actor) => Promise<unknown>;

function stepsOf({ signup, change, end }: StoryKind): Step[] {
  const begin = [signup === 'checkout' ? checkOut : subscribe, renew];
  const middle = change === 'before' ? [changePlan, fail, recover] : [fail, recover, changePlan];
  if (end === 'past_due') return [...begin, ...middle.slice(0, middle.indexOf(fail) + 1)];
  const last = { canceled: [cancel], scheduled: [schedule], period_over: [schedule, renew] }[end];
  return [...begin, ...middle, ...last];
}

async function subscriptionOf({ stripe, customer }: Actor): Promise<Stripe.Subscription> {
  const [found] = (await stripe.subscriptions.list({ customer, status: 'all' })).data;
  if (found === undefined) throw new Error('there is no subscription yet');
  return found;
}

async function payWith(actor: Actor, card: string): Promise<void> {
  const { stripe, customer } = actor;
  const { id } = await stripe.paymentMethods.attach(card, { customer });
  await stripe.subscriptions.update((await subscriptionOf(actor)).id, { default_payment_method: id });
}

async function checkOut({ stripe, plans, customer }: Actor): Promise<void> {
  const { url } = await stripe.checkout.sessions.create({
    customer,
    mode: 'subscription',
    line_items: [{ price: plans.team.id, quantity: 1 }],
    success_url: 'http://localhost:7071/paid',
    cancel_url: 'http://localhost:7071/plans',
  });
  const paid = await postForm(url ?? '', { action: 'pay', ...cardForm('pays') });
  if (paid.status !== 303) throw new Error(`not paid: ${paid.status}`);
}

async function subscribe({ stripe, plans, customer }: Actor): Promise<void> {
  await stripe.subscriptions.create({ customer, items: [{ price: plans.team.id }] });
}

async function renew(actor: Actor): Promise<void> {
  await actor.wait(MONTH + RENEWED);
}

async function fail(actor: Actor): Promise<void> {
  await payWith(actor, 'pm_card_chargeCustomerFail');
  await actor.wait(MONTH);
}

async function recover(actor: Actor): Promise<void> {
  await payWith(actor, 'pm_card_mastercard');
  await actor.stripe.invoices.pay(idIn((await subscriptionOf(actor)).latest_invoice));
}

async function changePlan(actor: Actor): Promise<void> {
  const { id, items } = await subscriptionOf(actor);
  await actor.stripe.subscriptions.update(id, {
    items: [{ id: items.data[0]?.id ?? '', price: actor.plans.business.id }],
    proration_behavior: 'always_invoice',
    proration_date: actor.now(),
  });
}

async function schedule(actor: Actor): Promise<void> {
  await actor.stripe.subscriptions.update((await subscriptionOf(actor)).id, { cancel_at_period_end: true });
}

async function cancel(actor: Actor): Promise<void> {
  await actor.stripe.subscriptions.cancel((await subscriptionOf(actor)).id);
}
