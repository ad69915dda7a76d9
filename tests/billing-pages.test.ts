import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type Stripe from 'stripe';
import { afterAll, describe, expect, it } from 'vitest';
import { advance, DAY, HOUR } from '../dev/stripe/test-billing.ts';
import { until, type TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { addTenant, customerOf, sellPlans, type BillingTenant } from './harness/billing-tenants.ts';
import { findBarriers, openBrowser, openVisitor, readFocus, type Visitor } from './harness/browser.ts';

// The way to a paid plan and back, as a person goes it: in a real browser on a narrow screen, through the pages of Stripe.

/** The customer's own pages, which checkout and portal lead back to. */
const site = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><p>${request.method}</p>`);
});
await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
afterAll(() => {
  site.closeAllConnections();
  site.close();
});
const SITE = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;

const billing = await startBillingApp({ settings: { BILLING_RETURN_ORIGINS: SITE } });
const { app } = billing;
const { stripe } = billing.stripe;
await sellPlans(billing);
const browser = await openBrowser();

/** How long an effect may take that passes Stripe, two queues and two databases, on a busy machine. */
const EFFECT_S = 30;
const PATIENT = { timeout: 120_000 };

const CARDS = {
  visa: '4242 4242 4242 4242',
  mastercard: '5555 5555 5555 4444',
  declined: '4000 0000 0000 0002',
  declinedLater: '4000 0000 0000 0341',
};

const analyse = (key: string): Promise<TestAnswer> =>
  app.request('POST', '/api/v1/analyses', {
    key,
    body: {
      period: {
        start: new Date(Date.now() - 7 * DAY * 1000).toISOString(),
        end: new Date().toISOString(),
      },
      metrics: { coverage: 0.93, findings: 1 },
      evidence_refs: [randomUUID()],
    },
  });

const untilAnalysis = (key: string, check: (answer: TestAnswer) => boolean): Promise<TestAnswer> =>
  until(() => analyse(key), check, EFFECT_S);

const standingOf = (answer: TestAnswer): string | null => answer.headers.get('billing-standing');

const untilSubscription = (tenant: BillingTenant, view: object): Promise<unknown> =>
  until(
    async () => (await tenant.ask('GET', 'subscription')).body,
    (body) => Object.entries(view).every(([name, value]) => isSame(body[name], value)),
    EFFECT_S,
  );

/** Whether all members of what is wanted are there. */
function isSame(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return found === wanted;
  return Object.entries(wanted).every(([name, value]) =>
    isSame((found as Record<string, unknown> | null)?.[name], value),
  );
}

async function typeCard(visitor: Visitor, card: keyof typeof CARDS): Promise<void> {
  await visitor.type('Card number', CARDS[card]);
  await visitor.type('Expiry (MM/YY)', '12/34');
  await visitor.type('Security code', '123');
  await visitor.type('Name on card', 'Hank Scorpio');
}

/** Opens a page that must be fit for everybody. */
async function visit(visitor: Visitor, url: string): Promise<void> {
  await visitor.page.goto(url);
  expect(await findBarriers(visitor)).toEqual([]);
}

/** The address of a new checkout, whose customer lives in the time of a test clock. */
async function openCheckout(
  tenant: BillingTenant,
): Promise<{ url: string; clock: Stripe.TestHelpers.TestClock }> {
  const opened = await tenant.ask('POST', 'checkout-sessions', {
    plan_id: 'starter',
    billing_cycle: 'monthly',
    success_url: `${SITE}/paid?session={CHECKOUT_SESSION_ID}`,
    cancel_url: `${SITE}/plans`,
  });
  expect(opened.status).toBe(201);
  const clock = await stripe.testHelpers.testClocks.create({ frozen_time: Math.floor(Date.now() / 1000) });
  const customer = await customerOf(billing, tenant);
  const joined = await billing.stripe.ask('POST', `/_stand-in/customers/${customer}/test-clock`, {
    test_clock: clock.id,
  });
  expect(joined.status).toBe(200);
  return { url: opened.body.url, clock };
}

/** A tenant that has paid in the browser, and the page of its portal. */
async function openPortal(
  visitor: Visitor,
  id: string,
): Promise<{ tenant: BillingTenant; clock: Stripe.TestHelpers.TestClock; portal: string }> {
  const tenant = await addTenant(app, id);
  const { url, clock } = await openCheckout(tenant);
  await visit(visitor, url);
  await typeCard(visitor, 'visa');
  await visitor.press('Subscribe');
  await untilSubscription(tenant, { plan_id: 'starter', status: 'active' });
  const opened = await tenant.ask('POST', 'portal-sessions', { return_url: `${SITE}/billing` });
  expect(opened.status).toBe(201);
  return { tenant, clock, portal: opened.body.url };
}

describe('in the browser', () => {
  it(
    'a free tenant that has used up its allowance pays, after a declined card, and works on',
    PATIENT,
    async () => {
      const key = app.keys.globex.owner;
      const globex: BillingTenant = {
        id: 'globex',
        key,
        ask: (method, path, body) => app.request(method, `/api/v1/billing/${path}`, { key, body }),
      };
      await app.admin
        .billing`update billing_plans set limits = limits || '{"analysis_runs": 2}' where plan_id = 'free'`;
      expect([(await analyse(key)).status, (await analyse(key)).status]).toEqual([201, 201]);
      const refused = await analyse(key);
      expect([refused.status, refused.body.code]).toEqual([402, 'QUOTA_EXCEEDED']);

      const visitor = await openVisitor(browser);
      const { url } = await openCheckout(globex);
      await visit(visitor, url);
      expect(await visitor.text()).toMatch(/starter \(\$29\.00 \/ month\)\s+\$29\.00\s+Due today\s+\$29\.00/);
      await typeCard(visitor, 'declined');
      await visitor.press('Subscribe');
      expect(await visitor.said()).toEqual(['Your card was declined.']);
      expect(await findBarriers(visitor)).toEqual([]);
      expect((await globex.ask('GET', 'subscription')).body).toMatchObject({ plan_id: 'free' });

      // By the keyboard alone: the field that is wrong has the focus, and says why.
      expect((await readFocus(visitor)).slice(0, 2)).toEqual(['card_number', 'Your card was declined.']);
      for (const text of [CARDS.visa, '1234', '123', 'Hank Scorpio']) {
        await visitor.page.keyboard.type(text);
        await visitor.page.keyboard.press('Tab');
      }
      await Promise.all([visitor.page.waitForNavigation(), visitor.page.keyboard.press('Enter')]);
      expect(visitor.page.url()).toMatch(new RegExp(`^${SITE}/paid\\?session=cs_test_\\w+$`));
      expect(await visitor.text()).toBe('GET');

      expect((await untilAnalysis(key, ({ status }) => status === 201)).status).toBe(201);
      expect((await globex.ask('GET', 'subscription')).body).toMatchObject({
        plan_id: 'starter',
        status: 'active',
        price: '29.00',
        currency: 'USD',
      });
      await visit(visitor, url);
      expect(await visitor.said()).toEqual(['This is done. Nothing is left to pay here.']);
      expect([...visitor.origins].sort()).toEqual([billing.stripe.server.url, SITE].sort());
    },
  );

  it('a person replaces the card, changes the plan, cancels and resumes in the portal', PATIENT, async () => {
    const visitor = await openVisitor(browser);
    const { tenant, portal } = await openPortal(visitor, 'manager');
    await visit(visitor, portal);

    await typeCard(visitor, 'declined');
    await visitor.press('Save new card');
    expect(await visitor.said()).toEqual(['Your card was declined.']);
    await typeCard(visitor, 'mastercard');
    await visitor.press('Save new card');
    expect(await visitor.said()).toEqual(['Your new card is saved.']);
    expect(await visitor.text()).toContain('Mastercard ending in 4444');

    await visitor.choose('New plan', 'professional, $99.00 / month');
    await visitor.press('Change plan');
    expect(await findBarriers(visitor)).toEqual([]);
    expect(await visitor.text()).toMatch(/Due now\s+\$70\.00/);
    await visitor.press('Confirm change');
    expect(await visitor.said()).toEqual(['Your plan is changed.']);
    await untilSubscription(tenant, { plan_id: 'professional', price: '99.00' });

    await visitor.press('Cancel subscription');
    expect(await visitor.said()).toEqual(['Your subscription ends with its period.']);
    expect(await visitor.text()).toMatch(/Ends on \d+ \w+ \d{4}\./);
    await untilSubscription(tenant, { status: 'active', next: { event: 'cancels' } });
    await visitor.press("Don't cancel");
    expect(await visitor.said()).toEqual(['Your subscription goes on.']);
    await untilSubscription(tenant, { status: 'active', next: { event: 'renews' } });
    expect(await findBarriers(visitor)).toEqual([]);

    const { body } = await tenant.ask('GET', 'payment-methods');
    expect(JSON.stringify(body)).toContain('4444');
    await visitor.press('Go back');
    expect(visitor.page.url()).toBe(`${SITE}/billing`);
  });

  it('a renewal is declined, its invoice is paid on its page, and all is well again', PATIENT, async () => {
    const visitor = await openVisitor(browser);
    const { tenant, clock, portal } = await openPortal(visitor, 'debtor');
    await visit(visitor, portal);
    await typeCard(visitor, 'declinedLater');
    await visitor.press('Save new card');
    expect(await visitor.text()).toContain('Visa ending in 0341');

    const { body } = await tenant.ask('GET', 'subscription');
    const end = Date.parse(body.current_period_end) / 1000;
    // A renewal's draft is finalised and paid an hour later.
    await advance(billing.stripe, clock, end + 2 * HOUR);
    await untilAnalysis(tenant.key, (answer) => standingOf(answer)?.startsWith('past_due') === true);
    await visit(visitor, portal);
    expect(await visitor.text()).toContain('Status: past due.');

    const [invoice] = await until(
      async () => (await tenant.ask('GET', 'invoices?status=open')).body.items,
      (items) => items.length === 1,
      EFFECT_S,
    );
    await visit(visitor, invoice.hosted_invoice_url);
    expect(await visitor.text()).toMatch(/Due\s+\$29\.00/);
    await visitor.press('Pay $29.00 with the card ending in 0341');
    expect(await visitor.said()).toEqual(['Your card was declined.']);
    await typeCard(visitor, 'visa');
    await visitor.press('Pay $29.00');
    expect(await visitor.said()).toEqual(['This invoice is paid. Nothing is left to pay.']);
    expect(await findBarriers(visitor)).toEqual([]);

    const paid = await untilAnalysis(tenant.key, (answer) => standingOf(answer) === null);
    expect(paid.status).toBe(201);
    await untilSubscription(tenant, { plan_id: 'starter', status: 'active' });
  });
});
