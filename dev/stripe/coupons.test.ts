import type Stripe from 'stripe';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Context } from './api/context.ts';
import {
  amountOff,
  appliesTo,
  couponOf,
  endDiscount,
  isDiscountOngoing,
  newDiscount,
} from './discounts/discount.ts';
import { findPromotionCode, findRedeemable, redeem } from './discounts/redeem.ts';
import { startTestStripe } from './test-stripe.ts';
import type { TestStripe } from './test-stripe.ts';

const DAY = 24 * 60 * 60;

let test: TestStripe;
let stripe: Stripe;
let now = Date.now();

beforeAll(async () => {
  test = await startTestStripe({ now: () => now });
  ({ stripe } = test);
});
afterAll(() => test.close());
beforeEach(async () => {
  now = Date.now();
  await test.ask('POST', '/_stand-in/reset');
});

const seconds = (): number => Math.floor(now / 1000);
const inside = <T>(run: (context: Context) => T): T => test.server.standIn.perform(null, run);
const eventTypes = async (): Promise<string[]> => (await stripe.events.list()).data.map(({ type }) => type);

it('a coupon takes off a part or an amount of a currency, exactly one of both', async () => {
  const part = await stripe.coupons.create({ percent_off: 25.5, duration: 'forever', name: '25.5% off' });
  expect(part.id).toMatch(/^\w{8}$/);
  expect(part).toMatchObject({ percent_off: 25.5, amount_off: null, currency: null, valid: true });
  const amount = await stripe.coupons.create({ id: 'FIVE', amount_off: 500, currency: 'EUR' });
  expect(amount).toMatchObject({ id: 'FIVE', duration: 'once', amount_off: 500, currency: 'eur' });
  await expect(stripe.coupons.create({ amount_off: 5, percent_off: 5 })).rejects.toMatchObject({
    statusCode: 400,
  });
  await expect(stripe.coupons.create({ duration: 'once' })).rejects.toMatchObject({ statusCode: 400 });
  await expect(stripe.coupons.create({ amount_off: 5 })).rejects.toMatchObject({ param: 'currency' });
  await expect(stripe.coupons.create({ percent_off: 101 })).rejects.toMatchObject({ param: 'percent_off' });
  await expect(stripe.coupons.create({ id: 'FIVE', percent_off: 1 })).rejects.toMatchObject({
    code: 'resource_already_exists',
  });
});

it('a repeating coupon says for how many months, no other does', async () => {
  const made = await stripe.coupons.create({ percent_off: 10, duration: 'repeating', duration_in_months: 3 });
  expect(made).toMatchObject({ duration: 'repeating', duration_in_months: 3 });
  const param = 'duration_in_months';
  await expect(stripe.coupons.create({ percent_off: 1, duration: 'repeating' })).rejects.toMatchObject({
    param,
  });
  await expect(stripe.coupons.create({ percent_off: 1, duration_in_months: 3 })).rejects.toMatchObject({
    param,
  });
});

it('only the name and the metadata of a coupon can be changed; deleting it keeps what it has given', async () => {
  const coupon = await stripe.coupons.create({ percent_off: 10, metadata: { plan: 'team' } });
  const changed = await stripe.coupons.update(coupon.id, { name: 'Ten', metadata: { plan: '' } });
  expect(changed).toMatchObject({ name: 'Ten', metadata: {}, percent_off: 10 });
  await expect(
    stripe.rawRequest('POST', `/v1/coupons/${coupon.id}`, { percent_off: 20 }),
  ).rejects.toMatchObject({
    code: 'parameter_unknown',
  });
  const discount = inside((context) =>
    newDiscount(context, redeem(context, { coupon: coupon.id }, { customer: null }), { start: seconds() }),
  );
  expect(await stripe.coupons.del(coupon.id)).toMatchObject({ deleted: true });
  await expect(stripe.coupons.retrieve(coupon.id)).rejects.toMatchObject({ statusCode: 404 });
  expect(couponOf(test.server.standIn.store, discount)).toMatchObject({ id: coupon.id, percent_off: 10 });
  expect(await eventTypes()).toEqual([
    'coupon.deleted',
    'coupon.updated',
    'coupon.updated',
    'coupon.created',
  ]);
});

it('a coupon that applies to products must name such, and shows them only on demand', async () => {
  const { id } = await stripe.products.create({ name: 'Team' });
  const coupon = await stripe.coupons.create({ percent_off: 10, applies_to: { products: [id] } });
  expect(coupon.applies_to).toBeUndefined();
  const full = await stripe.coupons.retrieve(coupon.id, { expand: ['applies_to'] });
  expect(full.applies_to).toEqual({ products: [id] });
  expect(appliesTo(full, id)).toBe(true);
  expect(appliesTo(full, 'prod_other')).toBe(false);
  await expect(
    stripe.coupons.create({ percent_off: 10, applies_to: { products: ['prod_none'] } }),
  ).rejects.toMatchObject({ code: 'resource_missing', param: 'applies_to[products][0]' });
});

it('a coupon ends by its time and by its uses, and shows so without any change', async () => {
  const timed = await stripe.coupons.create({ percent_off: 10, redeem_by: seconds() + DAY });
  const counted = await stripe.coupons.create({ percent_off: 10, max_redemptions: 2 });
  const take = (coupon: string): unknown =>
    inside((context) => redeem(context, { coupon }, { customer: null }));
  take(timed.id);
  take(counted.id);
  take(counted.id);
  expect(await stripe.coupons.retrieve(counted.id)).toMatchObject({ times_redeemed: 2, valid: false });
  expect(() => take(counted.id)).toThrow(`Coupon ${counted.id} is used up and cannot be applied.`);
  now += (DAY + 1) * 1000;
  expect(await stripe.coupons.retrieve(timed.id)).toMatchObject({ times_redeemed: 1, valid: false });
  expect(() => take(timed.id)).toThrow(`Coupon expired: ${timed.id}`);
  const [first] = (await stripe.events.list({ type: 'coupon.updated' })).data.toReversed();
  expect(first?.data).toMatchObject({
    object: { id: timed.id, valid: true, times_redeemed: 1 },
    previous_attributes: { times_redeemed: 0 },
  });
});

it('what a coupon takes off is exact, of its own currency, and never more than the amount', async () => {
  const part = await stripe.coupons.create({ percent_off: 12.5 });
  const five = await stripe.coupons.create({ amount_off: 500, currency: 'eur' });
  expect(amountOff(part, 1000, 'eur')).toBe(125);
  expect(amountOff(part, 4, 'eur')).toBe(1);
  expect(amountOff(part, 3, 'eur')).toBe(0);
  expect(amountOff(five, 4900, 'eur')).toBe(500);
  expect(amountOff(five, 300, 'eur')).toBe(300);
  expect(amountOff(five, 4900, 'usd')).toBe(0);
  expect(() =>
    inside((context) => findRedeemable(context, { coupon: five.id }, { customer: null, currency: 'usd' })),
  ).toThrow('cannot be applied to usd');
});

it('a discount ends by its coupon, and a subscription or a customer that gets one is told of', async () => {
  const customer = await stripe.customers.create();
  const coupon = await stripe.coupons.create({
    percent_off: 10,
    duration: 'repeating',
    duration_in_months: 3,
  });
  const start = Date.UTC(2026, 10, 30) / 1000;
  const discount = inside((context) =>
    newDiscount(context, redeem(context, { coupon: coupon.id }, { customer: customer.id }), {
      customer: customer.id,
      start,
    }),
  );
  expect(discount.end).toBe(Date.UTC(2027, 1, 28) / 1000);
  expect(isDiscountOngoing(discount, start)).toBe(true);
  expect(isDiscountOngoing(discount, discount.end ?? 0)).toBe(false);
  const [event] = (await stripe.events.list({ type: 'customer.discount.created' })).data;
  expect(event?.data.object).toMatchObject({
    id: discount.id,
    source: { type: 'coupon', coupon: coupon.id },
  });
  inside((context) => endDiscount(context, discount));
  expect((await eventTypes())[0]).toBe('customer.discount.deleted');
  expect(test.server.standIn.store.get('discount', discount.id)).toBeUndefined();
});

async function createCode(
  params: Partial<Stripe.PromotionCodeCreateParams> = {},
): Promise<Stripe.PromotionCode> {
  const coupon = await stripe.coupons.create({ percent_off: 20 });
  return await stripe.promotionCodes.create({ promotion: { type: 'coupon', coupon: coupon.id }, ...params });
}

it('a promotion code leads to its coupon, is found by what people type, and is made up if not given', async () => {
  const code = await createCode({ code: 'FALL20' });
  expect(code.id).toMatch(/^promo_\w{24}$/);
  expect(code).toMatchObject({
    active: true,
    promotion: { type: 'coupon' },
    restrictions: { first_time_transaction: false },
  });
  const found = await stripe.promotionCodes.list({
    code: 'fall20',
    active: true,
    expand: ['data.promotion.coupon'],
  });
  expect(found.data[0]).toMatchObject({
    id: code.id,
    promotion: { coupon: { percent_off: 20, valid: true } },
  });
  expect((await createCode()).code).toMatch(/^[A-Z0-9]{8}$/);
  await expect(createCode({ code: 'no spaces' })).rejects.toMatchObject({ param: 'code' });
  await expect(
    stripe.promotionCodes.create({ promotion: { type: 'coupon', coupon: 'none' } }),
  ).rejects.toMatchObject({ code: 'resource_missing', param: 'promotion[coupon]' });
});

it('active codes read differently, whatever the case; one for each customer is no conflict', async () => {
  const first = await createCode({ code: 'FALL20' });
  await expect(createCode({ code: 'Fall20' })).rejects.toMatchObject({ statusCode: 400, param: 'code' });
  await stripe.promotionCodes.update(first.id, { active: false });
  await createCode({ code: 'Fall20' });
  await expect(stripe.promotionCodes.update(first.id, { active: true })).rejects.toMatchObject({
    param: 'code',
  });
  const [a, b] = [await stripe.customers.create(), await stripe.customers.create()];
  await createCode({ code: 'MINE', customer: a.id });
  await createCode({ code: 'MINE', customer: b.id });
  await expect(createCode({ code: 'MINE', customer: b.id })).rejects.toMatchObject({ param: 'code' });
});

it('what a person types leads to an active code, of the customer or of everybody', async () => {
  const mine = await stripe.customers.create();
  const all = await createCode({ code: 'FALL20' });
  const personal = await createCode({ code: 'MINE', customer: mine.id });
  const find = (typed: string, customer: string | null): string | undefined =>
    inside((context) => findPromotionCode(context, typed, customer))?.id;
  expect(find(' fall20 ', null)).toBe(all.id);
  expect(find('mine', mine.id)).toBe(personal.id);
  expect(find('MINE', null)).toBeUndefined();
  await stripe.promotionCodes.update(all.id, { active: false });
  expect(find('FALL20', null)).toBeUndefined();
});

it('a code does not outlast its coupon, neither in time nor in uses', async () => {
  const { id } = await stripe.coupons.create({
    percent_off: 5,
    redeem_by: seconds() + DAY,
    max_redemptions: 2,
  });
  const promotion = { type: 'coupon', coupon: id } as const;
  await expect(
    stripe.promotionCodes.create({ promotion, expires_at: seconds() + 2 * DAY }),
  ).rejects.toMatchObject({ param: 'expires_at' });
  await expect(stripe.promotionCodes.create({ promotion, max_redemptions: 3 })).rejects.toMatchObject({
    param: 'max_redemptions',
  });
  const code = await stripe.promotionCodes.create({ promotion });
  now += (DAY + 1) * 1000;
  expect(await stripe.promotionCodes.retrieve(code.id)).toMatchObject({ active: false });
  expect((await stripe.promotionCodes.list({ active: true })).data).toEqual([]);
  await expect(stripe.promotionCodes.update(code.id, { active: true })).rejects.toMatchObject({
    param: 'active',
  });
  await expect(stripe.promotionCodes.create({ promotion })).rejects.toMatchObject({ code: 'coupon_expired' });
});

it('redeeming a code counts it and its coupon, up to the last use', async () => {
  const { id, promotion } = await createCode({ code: 'ONCE', max_redemptions: 1 });
  const take = (): unknown =>
    inside((context) => redeem(context, { promotion_code: id }, { customer: null, param: 'discounts[0]' }));
  inside((context) => findRedeemable(context, { promotion_code: id }, { customer: null }));
  expect(await stripe.promotionCodes.retrieve(id)).toMatchObject({ active: true, times_redeemed: 0 });
  take();
  expect(await stripe.promotionCodes.retrieve(id)).toMatchObject({ active: false, times_redeemed: 1 });
  const coupon = typeof promotion.coupon === 'string' ? promotion.coupon : '';
  expect(await stripe.coupons.retrieve(coupon)).toMatchObject({ times_redeemed: 1, valid: true });
  expect(take).toThrow('The promotion code ONCE is used up.');
  expect((await stripe.coupons.retrieve(coupon)).times_redeemed).toBe(1);
});

it('a code is refused for whom, when and what it is not for', async () => {
  const [mine, other] = [await stripe.customers.create(), await stripe.customers.create()];
  const check = (code: Stripe.PromotionCode, redeemer: Parameters<typeof findRedeemable>[2]) => (): unknown =>
    inside((context) => findRedeemable(context, { promotion_code: code.id }, redeemer));
  const personal = await createCode({ customer: mine.id });
  expect(check(personal, { customer: other.id })).toThrow('is for another customer');
  expect(check(personal, { customer: mine.id })).not.toThrow();

  const first = await createCode({ restrictions: { first_time_transaction: true } });
  expect(check(first, { customer: mine.id })).not.toThrow();
  const charge = { id: 'ch_1', object: 'charge', created: seconds(), customer: mine.id, paid: true };
  inside((context) => context.store.put(charge as unknown as Stripe.Charge));
  expect(check(first, { customer: mine.id })).toThrow('only for customers without prior transactions');

  const large = await createCode({
    restrictions: { minimum_amount: 1000, minimum_amount_currency: 'eur' },
  });
  expect(check(large, { customer: null, amount: 999, currency: 'eur' })).toThrow('at least 1000 eur');
  expect(check(large, { customer: null, amount: 1000, currency: 'eur' })).not.toThrow();
  expect(check(large, { customer: null, amount: 1000, currency: 'usd' })).toThrow('at least 1000 eur');

  const off = await createCode({ active: false });
  expect(check(off, { customer: null })).toThrow('is inactive');
  const timed = await createCode({ expires_at: seconds() + DAY });
  now += (DAY + 1) * 1000;
  expect(check(timed, { customer: null })).toThrow('has expired');
});
