import { randomInt } from 'node:crypto';
import Stripe from 'stripe';

/** Every Stripe object that the stand-in can keep, in the types of the SDK: a wrong shape does not compile. */
export type StripeObject =
  | Stripe.Billing.Meter
  | Stripe.Billing.MeterEvent
  | Stripe.BillingPortal.Configuration
  | Stripe.BillingPortal.Session
  | Stripe.Charge
  | Stripe.Checkout.Session
  | Stripe.Coupon
  | Stripe.CreditNote
  | Stripe.Customer
  | Stripe.Discount
  | Stripe.Dispute
  | Stripe.EventBase
  | Stripe.Invoice
  | Stripe.InvoiceItem
  | Stripe.InvoicePayment
  | Stripe.PaymentIntent
  | Stripe.PaymentMethod
  | Stripe.Price
  | Stripe.Product
  | Stripe.PromotionCode
  | Stripe.Refund
  | Stripe.SetupIntent
  | Stripe.Subscription
  | Stripe.SubscriptionItem
  | Stripe.TestHelpers.TestClock
  | Stripe.WebhookEndpoint;

/** A kind of object, by the name that Stripe gives it in `object`. */
export type Kind = StripeObject['object'];

export type ObjectOf<K extends Kind> = Extract<StripeObject, { object: K }>;

/** What takes the place of a deleted object where something still names it. */
export interface DeletedObject<K extends Kind = Kind> {
  readonly id: string;
  readonly object: K;
  readonly deleted: true;
}

interface IdShape {
  readonly prefix: string;
  readonly letters: number;
}

// Prefixes and lengths as Stripe has them.
const ID_SHAPES: Readonly<Record<Kind, IdShape>> = {
  'billing.meter': { prefix: 'mtr_test_', letters: 38 },
  'billing.meter_event': { prefix: '', letters: 32 },
  'billing_portal.configuration': { prefix: 'bpc_', letters: 24 },
  'billing_portal.session': { prefix: 'bps_', letters: 24 },
  'checkout.session': { prefix: 'cs_test_', letters: 58 },
  'test_helpers.test_clock': { prefix: 'clock_', letters: 24 },
  charge: { prefix: 'ch_', letters: 24 },
  coupon: { prefix: '', letters: 8 },
  credit_note: { prefix: 'cn_', letters: 24 },
  customer: { prefix: 'cus_', letters: 14 },
  discount: { prefix: 'di_', letters: 24 },
  dispute: { prefix: 'dp_', letters: 24 },
  event: { prefix: 'evt_', letters: 24 },
  invoice: { prefix: 'in_', letters: 24 },
  invoice_payment: { prefix: 'inpay_', letters: 24 },
  invoiceitem: { prefix: 'ii_', letters: 24 },
  payment_intent: { prefix: 'pi_', letters: 24 },
  payment_method: { prefix: 'pm_', letters: 24 },
  price: { prefix: 'price_', letters: 24 },
  product: { prefix: 'prod_', letters: 14 },
  promotion_code: { prefix: 'promo_', letters: 24 },
  refund: { prefix: 're_', letters: 24 },
  setup_intent: { prefix: 'seti_', letters: 24 },
  subscription: { prefix: 'sub_', letters: 24 },
  subscription_item: { prefix: 'si_', letters: 14 },
  webhook_endpoint: { prefix: 'we_', letters: 24 },
};

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Random letters and digits, for ids and secrets. */
export function randomLetters(count: number): string {
  return Array.from({ length: count }, () => LETTERS.charAt(randomInt(LETTERS.length))).join('');
}

/** A new id as Stripe would give to an object of this kind. Lines of an invoice (`il_`), which are no objects of their own, take `randomLetters`. */
export function newId(kind: Kind): string {
  const { prefix, letters } = ID_SHAPES[kind];
  return prefix + randomLetters(letters);
}

/** What an object is found by. A meter event has no id; its identifier is unique. */
export function idOf(object: StripeObject): string {
  return 'id' in object ? object.id : object.identifier;
}

/** When an object came into being, in seconds; lists are ordered by it. */
export function createdOf(object: StripeObject): number {
  if ('created' in object) return object.created;
  return 'date' in object ? object.date : object.start;
}

export function isKind(name: string): name is Kind {
  return Object.hasOwn(ID_SHAPES, name);
}

export function isOfKind<K extends Kind>(
  object: StripeObject,
  kind: K,
): object is ObjectOf<K> & StripeObject {
  return object.object === kind;
}

/** True for an object of a known kind. It looks no deeper: the types have held the rest when the object was made. */
export function isStripeObject(value: unknown): value is StripeObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    'object' in value &&
    typeof value.object === 'string' &&
    isKind(value.object) &&
    (('id' in value && typeof value.id === 'string') ||
      ('identifier' in value && typeof value.identifier === 'string'))
  );
}

/** An exact number, which is an object in the SDK's types and a string in JSON. */
export function isDecimal(value: unknown): value is Stripe.Decimal {
  return value instanceof Stripe.Decimal.zero.constructor;
}

/** Turns the `*_decimal` strings of parsed JSON into the `Decimal` that the SDK's types say. Metadata is the client's own. */
export function reviveDecimals(value: unknown, field = ''): unknown {
  if (typeof value === 'string') return field.endsWith('_decimal') ? Stripe.Decimal.from(value) : value;
  if (typeof value !== 'object' || value === null || field === 'metadata') return value;
  if (Array.isArray(value)) return value.map((item) => reviveDecimals(item));
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, reviveDecimals(inner, name)]),
  );
}
