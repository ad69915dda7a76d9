/**
 * Readers of Stripe's objects that take the shape of every API version from `acacia` to `endive`: webhooks have the version of their
 * endpoint, and answers that of the request. They take `unknown`, because the SDK's types know the newest version only, and
 * an absent field is undefined.
 */

/** The value at a path of own fields; undefined where a step is no object. */
function field(object: unknown, ...path: readonly string[]): unknown {
  let value = object;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function whole(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
}

/** The members of a Stripe list, or of an array. */
function members(list: unknown): readonly unknown[] {
  const data = Array.isArray(list) ? list : field(list, 'data');
  return Array.isArray(data) ? (data as readonly unknown[]) : [];
}

function sum(values: readonly unknown[], name: string): number {
  return values.reduce<number>((total, value) => total + (whole(field(value, name)) ?? 0), 0);
}

/** Later than any time of Stripe's, and a Date can still hold it. */
const MAX_SECONDS = 253_402_300_799; // the end of the year 9999

/** Stripe's seconds as a time. */
export function instantOf(seconds: unknown): Date | undefined {
  const value = whole(seconds);
  return value === undefined || value < 0 || value > MAX_SECONDS ? undefined : new Date(value * 1000);
}

/** The id of what a field names, expanded or not. */
export function idOf(reference: unknown): string | undefined {
  return text(reference) ?? text(field(reference, 'id'));
}

/** The customer of an object; of a customer, itself. */
export function customerOf(object: unknown): string | undefined {
  return field(object, 'object') === 'customer' ? idOf(object) : idOf(field(object, 'customer'));
}

/** Whether Stripe has deleted the object: it answers with a stub, where there is no 404. */
export function isDeleted(object: unknown): boolean {
  return field(object, 'deleted') === true;
}

/** A price as far as billing needs it. */
export interface PriceShape {
  readonly id: string;
  readonly productId: string | undefined;
  readonly interval: string | undefined;
  readonly isMetered: boolean;
}

/** The price of a subscription's item, or of an invoice's line: `price`, the older `plan`, or `pricing` (basil, only ids). */
export function priceOf(item: unknown): PriceShape | undefined {
  for (const price of [
    field(item, 'price'),
    field(item, 'plan'),
    field(item, 'pricing', 'price_details', 'price'),
  ]) {
    const id = idOf(price);
    if (id === undefined) continue;
    return {
      id,
      productId: idOf(field(price, 'product')) ?? idOf(field(item, 'pricing', 'price_details', 'product')),
      interval: text(field(price, 'recurring', 'interval')) ?? text(field(price, 'interval')),
      isMetered: (field(price, 'recurring', 'usage_type') ?? field(price, 'usage_type')) === 'metered',
    };
  }
  return undefined;
}

/** An item of a subscription. */
export interface ItemShape {
  readonly id: string;
  readonly price: PriceShape;
  readonly periodStart: Date | undefined;
  readonly periodEnd: Date | undefined;
}

/** A subscription's items. Since basil each has its period; before, the subscription had one for all. */
export function itemsOf(subscription: unknown): readonly ItemShape[] {
  const start = instantOf(field(subscription, 'current_period_start'));
  const end = instantOf(field(subscription, 'current_period_end'));
  return members(field(subscription, 'items')).flatMap((item) => {
    const id = idOf(item);
    const price = priceOf(item);
    if (id === undefined || price === undefined) return [];
    return [
      {
        id,
        price,
        periodStart: instantOf(field(item, 'current_period_start')) ?? start,
        periodEnd: instantOf(field(item, 'current_period_end')) ?? end,
      },
    ];
  });
}

/** When the running period of a subscription began. Of items with different periods, the one that ends first. */
export function periodStart(subscription: unknown): Date | undefined {
  return firstToEnd(subscription)?.periodStart ?? instantOf(field(subscription, 'current_period_start'));
}

/** When it ends. */
export function periodEnd(subscription: unknown): Date | undefined {
  return firstToEnd(subscription)?.periodEnd ?? instantOf(field(subscription, 'current_period_end'));
}

function firstToEnd(subscription: unknown): ItemShape | undefined {
  const ending = itemsOf(subscription).filter((item) => item.periodEnd !== undefined);
  return ending.sort((a, b) => (a.periodEnd?.getTime() ?? 0) - (b.periodEnd?.getTime() ?? 0))[0];
}

/** A discount of a subscription, an invoice or a customer. */
export interface DiscountShape {
  readonly id: string;
  /** Undefined where only the discount's id is known. */
  readonly couponId: string | undefined;
  readonly promotionCodeId: string | undefined;
}

/** `discounts` (basil), else the one `discount`. A coupon is in its `source` since clover. */
export function discountsOf(object: unknown): readonly DiscountShape[] {
  const listed = members(field(object, 'discounts'));
  return (listed.length > 0 ? listed : [field(object, 'discount')]).flatMap((discount) => {
    const id = idOf(discount);
    if (id === undefined) return [];
    return [{ id, couponId: couponOf(discount), promotionCodeId: idOf(field(discount, 'promotion_code')) }];
  });
}

/** The coupon of a discount (`source.coupon` since clover) or of a promotion code (`promotion.coupon` since clover). */
export function couponOf(object: unknown): string | undefined {
  return (
    idOf(field(object, 'source', 'coupon')) ??
    idOf(field(object, 'promotion', 'coupon')) ??
    idOf(field(object, 'coupon'))
  );
}

/** The end that is planned for a subscription: `cancel_at`, or the period's end with `cancel_at_period_end`. */
export function cancelAt(subscription: unknown): Date | undefined {
  const planned = instantOf(field(subscription, 'cancel_at'));
  if (planned !== undefined) return planned;
  return field(subscription, 'cancel_at_period_end') === true ? periodEnd(subscription) : undefined;
}

/** The subscription that an invoice bills (`parent.subscription_details` since basil); undefined for any other invoice. */
export function subscriptionOf(invoice: unknown): string | undefined {
  return (
    idOf(field(invoice, 'parent', 'subscription_details', 'subscription')) ??
    idOf(field(invoice, 'subscription'))
  );
}

/** The payment intents of an invoice, the one that its client is shown first. `payments` is there only if it was expanded. */
export function paymentIntentsOf(invoice: unknown): readonly string[] {
  const payments = members(field(invoice, 'payments')).toSorted(
    (a, b) => Number(field(b, 'is_default') === true) - Number(field(a, 'is_default') === true),
  );
  const intents = payments.map((payment) => idOf(field(payment, 'payment', 'payment_intent')));
  const all = [...intents, idOf(field(invoice, 'payment_intent'))].filter((id) => id !== undefined);
  return [...new Set(all)];
}

/** The payment intent that pays an invoice. */
export function paymentOf(invoice: unknown): string | undefined {
  return paymentIntentsOf(invoice)[0];
}

/** The invoice of a payment intent or a charge (until acacia), of an `invoice_payment` (since basil), or of a line or item. */
export function invoiceOf(object: unknown): string | undefined {
  return field(object, 'object') === 'invoice' ? idOf(object) : idOf(field(object, 'invoice'));
}

/** The payment intent of a charge, a refund, a dispute, a checkout or an `invoice_payment`. */
export function paymentIntentOf(object: unknown): string | undefined {
  return idOf(field(object, 'payment_intent')) ?? idOf(field(object, 'payment', 'payment_intent'));
}

/** The taxes of an invoice in minor units: `total_taxes` since basil, before `total_tax_amounts` or `tax`. */
export function taxOf(invoice: unknown): number {
  for (const name of ['total_taxes', 'total_tax_amounts']) {
    const taxes = members(field(invoice, name));
    if (taxes.length > 0) return sum(taxes, 'amount');
  }
  return whole(field(invoice, 'tax')) ?? 0;
}

/** What discounts take off an invoice, in minor units. */
export function discountOf(invoice: unknown): number {
  return sum(members(field(invoice, 'total_discount_amounts')), 'amount');
}

/** A line of an invoice. Amounts are minor units of the invoice's currency. */
export interface LineShape {
  readonly id: string;
  readonly description: string | undefined;
  readonly amount: number;
  readonly quantity: number | undefined;
  readonly priceId: string | undefined;
  readonly isProration: boolean;
  readonly subscriptionId: string | undefined;
  readonly periodStart: Date | undefined;
  readonly periodEnd: Date | undefined;
}

/** A line as it is since basil (`parent`, `pricing`) and before. Undefined without an id or an amount. */
export function lineOf(line: unknown): LineShape | undefined {
  const id = idOf(line);
  const amount = whole(field(line, 'amount'));
  if (id === undefined || amount === undefined) return undefined;
  const parent =
    field(line, 'parent', 'subscription_item_details') ?? field(line, 'parent', 'invoice_item_details');
  return {
    id,
    description: text(field(line, 'description')),
    amount,
    quantity: whole(field(line, 'quantity')),
    priceId: priceOf(line)?.id,
    isProration: (field(parent, 'proration') ?? field(line, 'proration')) === true,
    subscriptionId: idOf(field(parent, 'subscription')) ?? idOf(field(line, 'subscription')),
    periodStart: instantOf(field(line, 'period', 'start')),
    periodEnd: instantOf(field(line, 'period', 'end')),
  };
}

/** A value of an object's metadata. */
export function metadataOf(object: unknown, key: string): string | undefined {
  return text(field(object, 'metadata', key));
}
