import type { Kind, ObjectOf, StripeObject } from './kinds.ts';

type Field<K extends Kind> = Exclude<keyof ObjectOf<K>, symbol | number>;

/** Fields that hold an id (or a list of ids), which `expand` replaces by the object. Nested ones by their way, `a.b`. */
type Expandable = { readonly [K in Kind]?: { readonly [F in Field<K> | `${Field<K>}.${string}`]?: Kind } };

/**
 * A field that an answer holds only when `expand` names it: either `stored` in the object and left out, or made of all
 * objects of a kind whose field `by` is this object's id.
 */
export type Includable =
  'stored' | { readonly kind: Kind; readonly by: string; readonly keep?: (object: StripeObject) => boolean };

type IncludableFields = { readonly [K in Kind]?: { readonly [F in Field<K>]?: Includable } };

/** What Stripe's reference marks "expandable", of the kinds that the stand-in has. */
const EXPANDABLE: Expandable = {
  'billing_portal.session': { configuration: 'billing_portal.configuration' },
  'checkout.session': {
    customer: 'customer',
    invoice: 'invoice',
    payment_intent: 'payment_intent',
    setup_intent: 'setup_intent',
    subscription: 'subscription',
    'discounts.coupon': 'coupon',
    'discounts.promotion_code': 'promotion_code',
  },
  charge: { customer: 'customer', payment_intent: 'payment_intent' },
  credit_note: { customer: 'customer', invoice: 'invoice' },
  customer: {
    'invoice_settings.default_payment_method': 'payment_method',
    test_clock: 'test_helpers.test_clock',
  },
  discount: { customer: 'customer', promotion_code: 'promotion_code', 'source.coupon': 'coupon' },
  dispute: { charge: 'charge', payment_intent: 'payment_intent' },
  invoice: {
    customer: 'customer',
    default_payment_method: 'payment_method',
    discounts: 'discount',
    'parent.subscription_details.subscription': 'subscription',
    test_clock: 'test_helpers.test_clock',
  },
  invoice_payment: {
    invoice: 'invoice',
    'payment.charge': 'charge',
    'payment.payment_intent': 'payment_intent',
  },
  invoiceitem: {
    customer: 'customer',
    discounts: 'discount',
    invoice: 'invoice',
    test_clock: 'test_helpers.test_clock',
  },
  payment_intent: { customer: 'customer', latest_charge: 'charge', payment_method: 'payment_method' },
  payment_method: { customer: 'customer' },
  price: { product: 'product' },
  product: { default_price: 'price' },
  promotion_code: { customer: 'customer', 'promotion.coupon': 'coupon' },
  refund: { charge: 'charge', payment_intent: 'payment_intent' },
  setup_intent: { customer: 'customer', payment_method: 'payment_method' },
  subscription: {
    customer: 'customer',
    default_payment_method: 'payment_method',
    discounts: 'discount',
    latest_invoice: 'invoice',
    pending_setup_intent: 'setup_intent',
    test_clock: 'test_helpers.test_clock',
  },
  subscription_item: { discounts: 'discount' },
};

/** Subscriptions that have ended are listed only by their own route. */
function isLive(object: StripeObject): boolean {
  return object.object !== 'subscription' || object.ended_at === null;
}

const INCLUDABLE: IncludableFields = {
  'checkout.session': { line_items: 'stored' },
  charge: { refunds: { kind: 'refund', by: 'charge' } },
  coupon: { applies_to: 'stored' },
  customer: { subscriptions: { kind: 'subscription', by: 'customer', keep: isLive } },
  invoice: { confirmation_secret: 'stored', payments: { kind: 'invoice_payment', by: 'invoice' } },
  price: { tiers: 'stored' },
};

function ofField<T>(
  fields: Readonly<Record<string, T | undefined>> | undefined,
  field: string,
): T | undefined {
  return fields !== undefined && Object.hasOwn(fields, field) ? fields[field] : undefined;
}

/** The kind of object that a field names by its id. */
export function expandableKind(kind: Kind, field: string): Kind | undefined {
  return ofField(EXPANDABLE[kind], field);
}

export function includable(kind: Kind, field: string): Includable | undefined {
  return ofField(INCLUDABLE[kind], field);
}

/** The names of the fields of a kind that an answer holds only on demand. */
export function includableFields(kind: Kind): readonly string[] {
  return Object.keys(INCLUDABLE[kind] ?? {});
}
