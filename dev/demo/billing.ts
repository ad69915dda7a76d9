import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';
import { openApiClient, problemCode, type ApiAnswer, type ApiClient } from '../client/api-client.ts';
import type { StackFacts } from '../client/stack-file.ts';
import { explain, heading, show, type Json } from './print.ts';
import { eventually, expect } from './requests.ts';
import { submit, typeCard } from './stripe-pages.ts';

const DAY_MS = 86_400_000;
const TENANT = 'globex';
const PLAN = { plan_id: 'starter', billing_cycle: 'monthly' };
/** More than the free plan has of anything that an analysis uses. */
const ANALYSES_MAX = 1_500;
/** A renewal's draft is finalised and paid an hour later. */
const SETTLED_HOURS = 2;
/** How long an effect may take that passes Stripe, two queues and two databases, on a busy machine. */
const EFFECT_S = 30;

interface Scene {
  readonly stack: StackFacts;
  readonly writer: ApiClient;
  readonly owner: ApiClient;
  readonly operator: ApiClient;
  readonly stripe: Stripe;
  /** Asks for one of the stand-in's controls. */
  readonly control: (path: string, body?: object) => Promise<Json>;
}

function openScene(stack: StackFacts): Scene {
  const globex = stack.tenants[TENANT];
  if (globex === undefined) throw new Error(`The stack does not have the tenant ${TENANT}.`);
  if (stack.stripe === null)
    throw new Error(
      'This stack bills through an account at Stripe itself. The demo needs the stand-in: start the stack without STRIPE_SECRET_KEY.',
    );
  const { url, secret_key: key } = stack.stripe;
  const as = (credential: string): ApiClient => openApiClient(stack.base_url, credential);
  return {
    stack,
    writer: as(globex.writer),
    owner: as(globex.owner),
    operator: as(stack.operator),
    stripe: new Stripe(key, { host: '127.0.0.1', port: Number(new URL(url).port), protocol: 'http' }),
    control: async (path, body) => {
      const response = await fetch(`${url}/_stand-in/${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answer = (await response.json()) as Json;
      if (!response.ok) throw new Error(`the stand-in refused ${path}: ${JSON.stringify(answer)}`);
      return answer;
    },
  };
}

/** Asks for an analysis, which uses the free allowance. */
function analyse({ writer }: Scene): Promise<ApiAnswer> {
  const now = Date.now();
  return writer.send('POST', '/api/v1/analyses', {
    period: { start: new Date(now - 7 * DAY_MS).toISOString(), end: new Date(now).toISOString() },
    metrics: { coverage: 0.93, findings: 1 },
    evidence_refs: [randomUUID()],
  });
}

/** Repeats an analysis until its status is the given one. */
async function untilAnalyses(scene: Scene, status: number): Promise<ApiAnswer> {
  const deadline = Date.now() + EFFECT_S * 1000;
  for (;;) {
    const answer = await analyse(scene);
    if (answer.status === status) return answer;
    if (Date.now() > deadline)
      throw new Error(
        `an analysis answers ${answer.status} ${problemCode(answer.body) ?? ''}, not ${status}`,
      );
    await sleep(100);
  }
}

const read = ({ owner }: Scene, path: string): Promise<Json> => expect(owner, [200], 'GET', `/api/v1${path}`);
const itemsOf = (page: Json): Json[] => (page['items'] as Json[] | undefined) ?? [];
const returnUrl = ({ stack }: Scene): string => `${stack.base_url}/api/docs`;

/** An earlier run of the demo has left a subscription. */
async function endEarlierRun(scene: Scene): Promise<void> {
  const { subscription_id: id } = await read(scene, '/billing/subscription');
  if (id === null || id === undefined) return;
  await expect(scene.owner, [200], 'POST', '/api/v1/billing/subscription/cancel', { at: 'now' });
  await eventually(
    () => read(scene, '/billing/subscription'),
    (view) => view['plan_id'] === 'free',
    EFFECT_S,
  );
  explain('(The subscription of an earlier run is cancelled.)');
}

async function spendAllowance(scene: Scene): Promise<void> {
  heading('The free allowance runs out');
  let done = 0;
  for (;;) {
    const answer = await analyse(scene);
    if (answer.status === 402) {
      explain(`${done} analyses are stored, and the next one is refused: 402.`);
      const { code, detail } = answer.body as Json;
      show('The problem', { code, detail });
      return;
    }
    if (answer.status !== 201) throw new Error(`an analysis answered ${answer.status}`);
    done += 1;
    if (done > ANALYSES_MAX) throw new Error('the free allowance does not end');
  }
}

/** The tenant's customer, on a test clock. The app has made it with the first checkout. */
async function putOnClock({ stripe, control }: Scene): Promise<Stripe.TestHelpers.TestClock> {
  const isOurs = ({ metadata }: Stripe.Customer): boolean => metadata['tenant_id'] === TENANT;
  // Stripe lists the customers of a clock only by their clock.
  for await (const clock of stripe.testHelpers.testClocks.list({ limit: 100 })) {
    const { data } = await stripe.customers.list({ test_clock: clock.id, limit: 100 });
    if (data.some(isOurs)) return clock;
  }
  for await (const customer of stripe.customers.list({ limit: 100 })) {
    if (!isOurs(customer)) continue;
    const clock = await stripe.testHelpers.testClocks.create({ frozen_time: Math.floor(Date.now() / 1000) });
    await control(`customers/${customer.id}/test-clock`, { test_clock: clock.id });
    return clock;
  }
  throw new Error(`Stripe has no customer of ${TENANT}`);
}

async function checkOut(scene: Scene): Promise<Stripe.TestHelpers.TestClock> {
  heading('A checkout');
  const session = await expect(scene.owner, [200, 201], 'POST', '/api/v1/billing/checkout-sessions', {
    ...PLAN,
    success_url: returnUrl(scene),
    cancel_url: returnUrl(scene),
  });
  const page = String(session['url']);
  const clock = await putOnClock(scene);
  explain(`A person opens ${page}`);
  explain(`A card that is declined: the page says ${await submit(page, typeCard('declined'))}`);
  explain(`A card that pays: the page ${await submit(page, typeCard('good'))}`);
  const paidAt = performance.now();
  await untilAnalyses(scene, 201);
  explain(`${((performance.now() - paidAt) / 1000).toFixed(1)} s later, the next analysis is stored: 201.`);
  const { plan_id, status, price, currency, next } = await read(scene, '/billing/subscription');
  show('The subscription', { plan_id, status, price, currency, next });
  return clock;
}

/** Lets the test clock pass the end of the paid period, and waits until Stripe has told everything. */
async function passPeriod(scene: Scene, clock: Stripe.TestHelpers.TestClock): Promise<void> {
  const { current_period_end: end } = await read(scene, '/billing/subscription');
  const to = Math.floor(Date.parse(String(end)) / 1000) + SETTLED_HOURS * 3600;
  const { testClocks } = scene.stripe.testHelpers;
  await testClocks.advance(clock.id, { frozen_time: to });
  while ((await testClocks.retrieve(clock.id)).status !== 'ready') await sleep(50);
  await scene.control('webhooks/settled?timeout_ms=10000');
  explain(`At Stripe it is ${new Date(to * 1000).toISOString().slice(0, 10)}.`);
}

const invoices = (scene: Scene): Promise<Json> => read(scene, '/billing/invoices?limit=5');

const describeInvoice = ({ invoice_number, status, billing_reason, total, currency }: Json): string =>
  `${String(invoice_number)}  ${String(status).padEnd(6)} ${String(total)} ${String(currency)}  ${String(billing_reason)}`;

async function passAMonth(scene: Scene, clock: Stripe.TestHelpers.TestClock): Promise<void> {
  heading('A month passes on the test clock');
  const renewal = (page: Json): Json | undefined =>
    itemsOf(page).find(({ billing_reason }) => billing_reason === 'subscription_cycle');
  const before = renewal(await invoices(scene))?.['invoice_number'];
  await passPeriod(scene, clock);
  const page = await eventually(
    () => invoices(scene),
    (value) => renewal(value)?.['status'] === 'paid' && renewal(value)?.['invoice_number'] !== before,
    EFFECT_S,
  );
  for (const invoice of itemsOf(page)) explain(describeInvoice(invoice));
}

async function portal(scene: Scene): Promise<string> {
  const { url } = await expect(scene.owner, [200, 201], 'POST', '/api/v1/billing/portal-sessions', {
    return_url: returnUrl(scene),
  });
  return String(url);
}

/** The end of the grace that the header `Billing-Standing` names; undefined if it names none. */
const graceEnds = (answer: ApiAnswer): string | undefined =>
  /grace-ends="([^"]+)"/.exec(answer.headers.get('billing-standing') ?? '')?.[1];

async function failToPay(scene: Scene, clock: Stripe.TestHelpers.TestClock): Promise<string> {
  heading('The next payment is declined');
  const said = await submit(await portal(scene), { action: 'replace-card', ...typeCard('declinedLater') });
  explain(`The card is replaced by one that will be declined: the portal says ${said}`);
  await passPeriod(scene, clock);
  const deadline = Date.now() + EFFECT_S * 1000;
  for (;;) {
    const answer = await analyse(scene);
    const ends = graceEnds(answer);
    if (ends !== undefined) {
      explain(`Everything works (an analysis: ${answer.status}), and every answer says:`);
      explain(`Billing-Standing: ${answer.headers.get('billing-standing') ?? ''}`);
      return ends;
    }
    if (Date.now() > deadline) throw new Error('no answer says that a payment has failed');
    await sleep(100);
  }
}

/** The grace is as long as the setting says. The job that ends it is run as of its end, instead of waiting for it. */
async function endGrace(scene: Scene, ends: string): Promise<void> {
  heading('The grace is over');
  const asOf = new Date(Date.parse(ends) + 1_000).toISOString();
  const path = '/api/v1/platform/jobs/dunning-advance/runs';
  await expect(scene.operator, [200], 'POST', path, { as_of: asOf });
  explain(`dunning-advance has run, as of ${asOf}.`);
  const refused = await untilAnalyses(scene, 402);
  const { code, detail } = refused.body as Json;
  show('An analysis is refused', { code, detail });
  explain(`Billing-Standing: ${refused.headers.get('billing-standing') ?? ''}`);
  const reading = await scene.writer.send('GET', '/api/v1/analyses?limit=1');
  explain(`Reading still works: ${reading.status}.`);
}

async function payDebt(scene: Scene): Promise<void> {
  heading('The debt is paid');
  const card = await submit(await portal(scene), { action: 'replace-card', ...typeCard('good') });
  explain(`A good card: the portal says ${card}`);
  const [open] = itemsOf(await read(scene, '/billing/invoices?status=open'));
  if (open === undefined) throw new Error('there is no open invoice');
  explain(`The open invoice’s page: ${String(open['hosted_invoice_url'])}`);
  await submit(String(open['hosted_invoice_url']), { action: 'pay-saved' });
  const answer = await untilAnalyses(scene, 201);
  const standing = answer.headers.get('billing-standing') ?? 'no header any more';
  explain(`An analysis is stored again: 201. Billing-Standing: ${standing}.`);
}

async function lookBack(scene: Scene, since: Date): Promise<void> {
  heading('What is left of it');
  const settled = await eventually(
    () => invoices(scene),
    (page) => itemsOf(page).every(({ status }) => status !== 'open'),
    EFFECT_S,
  );
  explain('Invoices:');
  for (const invoice of itemsOf(settled)) explain(`  ${describeInvoice(invoice)}`);
  explain('Payments:');
  const payments = await eventually(
    () => read(scene, '/billing/payments?limit=5'),
    (page) => itemsOf(page)[0]?.['status'] === 'succeeded',
    EFFECT_S,
  );
  for (const payment of itemsOf(payments)) {
    const { status, amount, currency, card_brand, card_last_four } = payment;
    const failure = typeof payment['failure_code'] === 'string' ? `  ${payment['failure_code']}` : '';
    explain(
      `  ${String(status).padEnd(9)} ${String(amount)} ${String(currency)}  ${String(card_brand)} …${String(card_last_four)}${failure}`,
    );
  }
  const audit = await eventually(() => read(scene, '/audit-logs?limit=100'), hasRestored);
  explain('Audit entries:');
  const told = itemsOf(audit).filter(
    ({ action, created_at: at }) =>
      /^billing\.|^tenant\.plan/.test(String(action)) && new Date(String(at)) >= since,
  );
  for (const { created_at, action, actor } of told.toReversed())
    explain(`  ${String(created_at)}  ${String(action).padEnd(26)} ${String(actor)}`);
}

/** The newest entry about a standing says that all is well again. */
function hasRestored(page: Json): boolean {
  const standings = itemsOf(page).filter(({ action }) =>
    ['billing.restored', 'billing.read_only_began', 'billing.grace_began'].includes(String(action)),
  );
  return standings[0]?.['action'] === 'billing.restored';
}

/** How the tenant globex becomes a paying one, cannot pay, and pays again. */
export async function showBilling(stack: StackFacts): Promise<void> {
  const scene = openScene(stack);
  explain(
    `The tenant ${TENANT} on ${stack.base_url}, and a stand-in for Stripe on ${stack.stripe?.url ?? ''}.`,
  );
  await endEarlierRun(scene);
  await spendAllowance(scene);
  // The allowance binds, so whatever an earlier run has caused is over.
  const since = new Date();
  const clock = await checkOut(scene);
  await passAMonth(scene, clock);
  const ends = await failToPay(scene, clock);
  await endGrace(scene, ends);
  await payDebt(scene);
  await lookBack(scene, since);
  explain(`Done. To try more: ${stack.base_url}/api/docs`);
}
