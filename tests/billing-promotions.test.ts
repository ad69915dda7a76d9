import { describe, expect, it } from 'vitest';
import { codeOf } from '../shared/domains/billing/promotions/promotion.ts';
import {
  releaseAbandonedUses,
  releaseUse,
  reserveUse,
  settleUse,
  type Reservation,
} from '../shared/domains/billing/promotions/redemption.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import type { TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';

const { app, stripe } = await startBillingApp({ webhooks: false });
const { billing } = app.services.crossTenant;
const { operator, acme, globex } = app.keys;
const CODES = '/api/v1/platform/billing/promotional-codes';
const NOW = new Date('2026-06-15T12:00:00Z');
const HOUR_MS = 60 * 60_000;

let made = 0;
const nextCode = (): string => `CODE-${(made += 1)}`;

async function makeCode(body: object = {}): Promise<string> {
  const code = nextCode();
  const answer = await app.request('POST', CODES, {
    key: operator,
    body: { code, discount_type: 'percentage', discount_value: 20, ...body },
  });
  expect([answer.status, answer.status === 201 ? '' : answer.body]).toEqual([201, '']);
  return code;
}

const reserve = (
  tenantId: string,
  code: string,
  { planId = 'starter', checkoutId = newId(), now = NOW } = {},
): Promise<Reservation> =>
  billing.transaction((transaction) => reserveUse(transaction, { tenantId, code, planId, checkoutId }, now));

const settle = (tenantId: string, code: string, subscriptionId = newId()): Promise<boolean> =>
  billing.transaction((transaction) => settleUse(transaction, { tenantId, code, subscriptionId }, NOW));

const release = (tenantId: string, checkoutId: string): Promise<boolean> =>
  billing.transaction((transaction) => releaseUse(transaction, { tenantId, checkoutId }, NOW));

const refusalIn = (reservation: Reservation): string | undefined =>
  'refusal' in reservation ? reservation.refusal : undefined;

async function usesOf(code: string): Promise<{ counted: number; rows: string[] }> {
  const [row] = await app.admin.billing`select current_uses from promotional_codes where code = ${code}`;
  const rows = await app.admin
    .billing`select tenant_id, status from promotional_code_usage where code = ${code} order by tenant_id`;
  return {
    counted: Number(row?.['current_uses']),
    rows: rows.map((use) => `${use['tenant_id']}: ${use['status']}`),
  };
}

describe('a use of a promotional code', () => {
  it('is reserved at most as often as the code allows, however many ask at once', async () => {
    const code = await makeCode({ max_uses: 10 });
    for (let n = 0; n < 7; n++) await settle(`early-${n}`, code);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => reserve(`tenant-${n}`, code)));
    expect(answers.filter((answer) => 'promotion' in answer)).toHaveLength(3);
    expect(new Set(answers.map(refusalIn))).toEqual(new Set([undefined, 'used_up']));
    const winners = (await usesOf(code)).rows.filter((row) => row.endsWith('reserved'));
    await Promise.all(winners.map((row) => settle(row.split(':')[0] ?? '', code)));
    const uses = await usesOf(code);
    expect([uses.counted, uses.rows.length]).toEqual([10, 10]);
    expect(refusalIn(await reserve('a-fourth', code))).toBe('used_up');
  });

  it('is one a tenant, also when the tenant asks many times at once', async () => {
    const code = await makeCode({ max_uses: 5 });
    const answers = await Promise.all(Array.from({ length: 10 }, () => reserve('acme', code)));
    expect(answers.map(refusalIn)).toEqual(answers.map(() => undefined));
    expect(await usesOf(code)).toEqual({ counted: 1, rows: ['acme: reserved'] });
    await settle('acme', code);
    expect(refusalIn(await reserve('acme', code))).toBe('already_used');
    expect(await usesOf(code)).toEqual({ counted: 1, rows: ['acme: used'] });
  });

  it('is counted once, whatever is repeated, and stays used when its checkout is released late', async () => {
    const code = await makeCode();
    const checkoutId = newId();
    await reserve('acme', code, { checkoutId });
    await reserve('acme', code.toLowerCase(), { checkoutId });
    const subscription = newId();
    expect(await settle('acme', code, subscription)).toBe(true);
    expect(await settle('acme', code, newId())).toBe(true);
    expect(await release('acme', checkoutId)).toBe(false);
    expect(await usesOf(code)).toEqual({ counted: 1, rows: ['acme: used'] });
    const [use] = await app.admin
      .billing`select subscription_id from promotional_code_usage where code = ${code}`;
    expect(use?.['subscription_id']).toBe(subscription);
  });

  it('is given back once when its checkout ends without a subscription', async () => {
    const code = await makeCode({ max_uses: 1 });
    const checkoutId = newId();
    await reserve('acme', code, { checkoutId });
    expect(refusalIn(await reserve('globex', code))).toBe('used_up');
    const released = await Promise.all([release('acme', checkoutId), release('acme', checkoutId)]);
    expect(released.sort()).toEqual([false, true]);
    expect(await usesOf(code)).toEqual({ counted: 0, rows: [] });
    expect(refusalIn(await reserve('globex', code))).toBeUndefined();
  });

  it('moves to the tenant’s later checkout, and the end of the earlier one does not give it back', async () => {
    const code = await makeCode({ max_uses: 1 });
    const [first, second] = [newId(), newId()];
    await reserve('acme', code, { checkoutId: first });
    expect(refusalIn(await reserve('acme', code, { checkoutId: second }))).toBeUndefined();
    expect(await release('acme', first)).toBe(false);
    expect(await release('globex', second)).toBe(false);
    expect(await usesOf(code)).toEqual({ counted: 1, rows: ['acme: reserved'] });
    expect(await release('acme', second)).toBe(true);
  });

  it('is written also when it was given back before its subscription was known, never above the maximum', async () => {
    const code = await makeCode({ max_uses: 1 });
    const checkoutId = newId();
    await reserve('acme', code, { checkoutId });
    await release('acme', checkoutId);
    await reserve('globex', code);
    expect(await settle('acme', code)).toBe(false);
    expect(await usesOf(code)).toEqual({ counted: 1, rows: ['acme: used', 'globex: reserved'] });
    expect(await settle('acme', 'NO-SUCH-CODE')).toBe(false);
  });

  it('is reserved by the role of requests too, for its own tenant only', async () => {
    const code = await makeCode();
    const wish = { code, planId: 'starter', checkoutId: newId() };
    const own = app.services.forTenant('acme').billing;
    const reserved = await own.transaction((transaction) =>
      reserveUse(transaction, { tenantId: 'acme', ...wish }, NOW),
    );
    expect(refusalIn(reserved)).toBeUndefined();
    await expect(
      own.transaction((transaction) => reserveUse(transaction, { tenantId: 'globex', ...wish }, NOW)),
    ).rejects.toMatchObject({ code: '42501' });
    expect(await usesOf(code)).toEqual({ counted: 1, rows: ['acme: reserved'] });
    await own.transaction((transaction) => releaseUse(transaction, { tenantId: 'acme', ...wish }, NOW));
    expect(await usesOf(code)).toEqual({ counted: 0, rows: [] });
  });

  it('of an abandoned checkout is given back after its time, but not of one that is open or complete', async () => {
    const code = await makeCode();
    const checkouts = {
      lost: newId(),
      expired: newId(),
      open: newId(),
      complete: newId(),
      young: newId(),
    };
    for (const [name, checkoutId] of Object.entries(checkouts)) {
      const now = new Date(NOW.getTime() - (name === 'young' ? 29 : 31) * HOUR_MS);
      await reserve(name, code, { checkoutId, now });
    }
    for (const [name, status, hours] of [
      ['expired', 'expired', -7],
      ['open', 'open', 1],
      ['complete', 'complete', -7],
    ] as const)
      await app.admin
        .billing`insert into ops.checkout_sessions (tenant_id, checkout_id, plan_id, billing_cycle, status, created_at, expires_at)
        values (${name}, ${checkouts[name]}, 'starter', 'monthly', ${status}, ${NOW}, ${new Date(NOW.getTime() + hours * HOUR_MS)})`;
    expect(await releaseAbandonedUses(billing, NOW)).toBe(2);
    expect((await usesOf(code)).rows).toEqual(['complete: reserved', 'open: reserved', 'young: reserved']);
    expect(await releaseAbandonedUses(billing, NOW)).toBe(0);
    expect((await usesOf(code)).counted).toBe(3);
  });
});

describe('a code that cannot be used', () => {
  const before = new Date(NOW.getTime() - HOUR_MS).toISOString();
  const after = new Date(NOW.getTime() + HOUR_MS).toISOString();

  it.each([
    ['not_yet_valid', { valid_from: after }],
    ['expired', { valid_until: before }],
    ['expired', { valid_until: NOW.toISOString() }],
    ['not_for_this_plan', { applicable_plans: ['enterprise'] }],
    ['not_for_this_plan', { discount_type: 'fixed_amount', discount_value: 500, currency: 'EUR' }],
    ['inactive', { is_active: false }],
  ])('is refused as %s', async (reason, body) => {
    const code = await makeCode(body);
    expect(refusalIn(await reserve('acme', code))).toBe(reason);
    expect(await usesOf(code)).toEqual({ counted: 0, rows: [] });
  });

  it('is usable from its first instant', async () => {
    expect(
      refusalIn(await reserve('acme', await makeCode({ valid_from: NOW.toISOString() }))),
    ).toBeUndefined();
  });

  it('is refused for a plan that costs nothing, and for one that is not sold', async () => {
    const code = await makeCode();
    expect(refusalIn(await reserve('acme', code, { planId: 'free' }))).toBe('not_for_this_plan');
    expect(refusalIn(await reserve('acme', code, { planId: 'no-such-plan' }))).toBe('not_for_this_plan');
  });

  it.each(['nothing', '', ' ', 'ß', 'a'.repeat(51), 'x\0y', "' or 1=1", 'CODE_1', 'ſtraße'])(
    'is unknown: %j',
    async (typed) => {
      expect(refusalIn(await reserve('acme', typed))).toBe('unknown');
    },
  );

  it('has one spelling', () => {
    expect(['spring-20', ' Spring-20 ', 'SPRING-20'].map(codeOf)).toEqual(Array(3).fill('SPRING-20'));
  });
});

describe('POST /billing/promotional-codes/validate', () => {
  const validate = (code: unknown, planId: unknown = 'starter', key = acme.owner): Promise<TestAnswer> =>
    app.request('POST', '/api/v1/billing/promotional-codes/validate', {
      key,
      body: { code, plan_id: planId },
    });

  it('says what a code gives, in any spelling, and reserves nothing', async () => {
    const percent = await makeCode({ discount_value: 25, duration: 'repeating', duration_in_months: 3 });
    const amount = await makeCode({ discount_type: 'fixed_amount', discount_value: 1050, currency: 'USD' });
    const trial = await makeCode({ discount_type: 'free_trial', discount_value: 30 });
    const none = {
      percent_off: null,
      amount_off: null,
      currency: null,
      trial_days: null,
      duration: null,
      duration_in_months: null,
    };
    const answers = [
      await validate(percent.toLowerCase()),
      await validate(` ${amount} `),
      await validate(trial),
    ];
    expect(answers.map(({ status, body }) => [status, body])).toEqual(
      [
        {
          ...none,
          discount_type: 'percentage',
          percent_off: 25,
          duration: 'repeating',
          duration_in_months: 3,
        },
        {
          ...none,
          discount_type: 'fixed_amount',
          amount_off: '10.50',
          currency: 'USD',
          duration: 'once',
        },
        { ...none, discount_type: 'free_trial', trial_days: 30 },
      ].map((discount) => [200, { valid: true, reason: null, discount }]),
    );
    expect(await usesOf(percent)).toEqual({ counted: 0, rows: [] });
  });

  it('says why not, and nothing of other tenants’ uses', async () => {
    const code = await makeCode({ max_uses: 2 });
    await reserve('globex', code);
    await settle('acme', code);
    const answers = await Promise.all([
      validate(code),
      validate(code, 'starter', globex.owner),
      validate('NO-SUCH-CODE'),
      validate('%'),
      validate(code, 'free', globex.owner),
    ]);
    expect(answers.map(({ status, body }) => [status, body.valid, body.reason])).toEqual([
      [200, false, 'already_used'],
      [200, true, null],
      [200, false, 'unknown'],
      [200, false, 'unknown'],
      [200, false, 'not_for_this_plan'],
    ]);
    const [used, , unknown] = answers;
    expect(Object.keys(used.body)).toEqual(Object.keys(unknown.body));
    expect(used.body.discount).toBeNull();
  });

  it('needs billing:read, and refuses what is no code', async () => {
    expect((await validate('SPRING', 'starter', acme.writer)).status).toBe(403);
    expect((await validate('SPRING', 'starter', '')).status).toBe(401);
    for (const wrong of [undefined, null, 7, '', 'x'.repeat(101), ['SPRING']])
      expect([wrong, (await validate(wrong)).status]).toEqual([wrong, 400]);
    expect((await validate('SPRING', 'No Plan')).status).toBe(400);
  });
});

describe('a promotional code at Stripe', () => {
  const promotionCodes = async (code: string) =>
    (await stripe.stripe.promotionCodes.list({ code, limit: 100 })).data;
  const read = async (code: string) => (await app.request('GET', `${CODES}/${code}`, { key: operator })).body;

  it('is a coupon and a promotion code when the operator has written it', async () => {
    const code = await makeCode({ duration: 'repeating', duration_in_months: 6, max_uses: 3 });
    const row = await read(code);
    expect(row).toMatchObject({ code, current_uses: 0, synced_at: expect.any(String) });
    const coupon = await stripe.stripe.coupons.retrieve(row.stripe_coupon_id);
    expect(coupon).toMatchObject({ percent_off: 20, duration: 'repeating', duration_in_months: 6 });
    const [found, ...others] = await promotionCodes(code);
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      id: row.stripe_promotion_code_id,
      active: true,
      promotion: { coupon: coupon.id },
    });
  });

  it('has no coupon if it gives a trial', async () => {
    const code = await makeCode({ discount_type: 'free_trial', discount_value: 14 });
    const row = await read(code);
    expect([row.stripe_coupon_id, row.stripe_promotion_code_id, typeof row.synced_at]).toEqual([
      null,
      null,
      'string',
    ]);
    expect(await promotionCodes(code)).toEqual([]);
  });

  it('gets another coupon with another discount; the first is found again; deactivated, it is off', async () => {
    const code = await makeCode();
    const path = `${CODES}/${code}`;
    const any = { key: operator, headers: { 'if-match': '*' } };
    const body = { discount_type: 'percentage', discount_value: 20 };
    const first = await read(code);
    const changed = await app.request('PUT', path, { ...any, body: { ...body, discount_value: 30 } });
    expect(changed.body.stripe_coupon_id).not.toBe(first.stripe_coupon_id);
    expect(changed.body.synced_at).toEqual(expect.any(String));
    expect((await promotionCodes(code)).filter(({ active }) => active)).toMatchObject([
      { id: changed.body.stripe_promotion_code_id },
    ]);
    const back = await app.request('PUT', path, { ...any, body });
    expect(back.body).toMatchObject({
      stripe_coupon_id: first.stripe_coupon_id,
      stripe_promotion_code_id: first.stripe_promotion_code_id,
    });
    expect((await app.request('DELETE', path, { key: operator })).status).toBe(204);
    expect((await promotionCodes(code)).filter(({ active }) => active)).toEqual([]);
    expect(await read(code)).toMatchObject({ is_active: false, synced_at: expect.any(String) });
  });
});

describe('the operators’ codes', () => {
  it('are in capitals, whatever is sent, and one row in any spelling', async () => {
    const body = { code: 'lower-case', discount_type: 'percentage', discount_value: 5 };
    const answer = await app.request('POST', CODES, { key: operator, body });
    expect([answer.status, answer.body.code]).toEqual([201, 'LOWER-CASE']);
    const again = await app.request('POST', CODES, { key: operator, body: { ...body, code: 'Lower-Case' } });
    expect(again.status).toBe(409);
    expect((await app.request('GET', `${CODES}/lower-case`, { key: operator })).body.code).toBe('LOWER-CASE');
  });

  it.each([
    ['/discount_value', { discount_value: 101 }],
    ['/discount_value', { discount_type: 'free_trial', discount_value: 731 }],
    ['/discount_value', { discount_value: 0 }],
    ['/currency', { currency: 'USD' }],
    ['/currency', { discount_type: 'fixed_amount' }],
    ['/duration_in_months', { duration: 'repeating' }],
    ['/duration_in_months', { duration_in_months: 3 }],
    ['/valid_until', { valid_from: '2026-02-01T00:00:00Z', valid_until: '2026-02-01T01:00:00+01:00' }],
    ['/applicable_plans/1', { applicable_plans: ['starter', 'no-such-plan'] }],
    ['/max_uses', { max_uses: 0 }],
    ['/code', { code: 'AB' }],
    ['/code', { code: 'A_B' }],
  ])('are refused with a fault at %s: %j', async (pointer, body) => {
    const whole = { code: nextCode(), discount_type: 'percentage', discount_value: 20, ...body };
    const answer = await app.request('POST', CODES, { key: operator, body: whole });
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, pointer]);
  });

  it('cannot allow fewer uses than there are', async () => {
    const code = await makeCode({ max_uses: 3 });
    await settle('acme', code);
    await reserve('globex', code);
    const put = (max: number) =>
      app.request('PUT', `${CODES}/${code}`, {
        key: operator,
        headers: { 'if-match': '*' },
        body: { discount_type: 'percentage', discount_value: 20, max_uses: max },
      });
    const refused = await put(1);
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, '/max_uses']);
    expect([(await put(2)).status, (await usesOf(code)).counted]).toEqual([200, 2]);
  });
});
