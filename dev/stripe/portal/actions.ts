import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { changeNow } from '../billing/change.ts';
import type { ChangeRequest } from '../billing/change.ts';
import { collect } from '../billing/collect.ts';
import { previewChange } from '../billing/preview.ts';
import { changeCustomer, findCustomer } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import { attachMethod, createCardMethod } from '../payments/payment-methods.ts';
import type { CardDetails } from '../payments/payment-methods.ts';
import { isMetered } from '../subscriptions/items.ts';
import { changeSubscription, hasEnded } from '../subscriptions/status.ts';
import { defaultConfiguration } from './configuration.ts';

/** The subscriptions that a customer can do something with. */
export function listLive({ store }: Pick<Context, 'store'>, customer: string): Stripe.Subscription[] {
  return store.list(
    'subscription',
    (subscription) =>
      subscription.customer === customer && !hasEnded(subscription) && subscription.status !== 'incomplete',
  );
}

/** The subscription that a form names: one of this customer, or none. */
function findOwn(context: Context, customer: string, id: string): Stripe.Subscription {
  const found = listLive(context, findCustomer(context, customer).id).find((one) => one.id === id);
  if (found === undefined) throw invalidRequest('There is no such subscription.');
  return found;
}

/**
 * Ends a subscription with its period. As Stripe's portal does it, `cancel_at` says when, and `cancel_at_period_end` stays
 * false.
 */
export function cancelInPortal(context: Context, customer: string, id: string): Stripe.Subscription {
  const before = findOwn(context, customer, id);
  return changeNow(context, before, { cancel_at: 'max_period_end' }).subscription;
}

export function keepInPortal(context: Context, customer: string, id: string): Stripe.Subscription {
  return changeNow(context, findOwn(context, customer, id), { cancel_at: null }).subscription;
}

/** The one item whose price is the plan; undefined where that cannot be told. */
export function planItem({ items }: Stripe.Subscription): Stripe.SubscriptionItem | undefined {
  const licensed = items.data.filter((item) => !isMetered(item));
  return licensed.length === 1 ? licensed[0] : undefined;
}

/** The account's active recurring prices that the plan could change to. */
export function listPlans(
  { store }: Pick<Context, 'store'>,
  subscription: Stripe.Subscription,
): Stripe.Price[] {
  const current = planItem(subscription)?.price.id;
  if (current === undefined) return [];
  const prices = store.list(
    'price',
    (price) =>
      price.active &&
      price.id !== current &&
      price.currency === subscription.currency &&
      price.recurring?.usage_type === 'licensed' &&
      store.get('product', refId(price.product))?.active === true,
  );
  return prices.reverse();
}

interface PlanChange {
  readonly subscription: string;
  readonly price: string;
  /** Seconds since 1970: what was shown is what is billed. */
  readonly prorationDate: number;
}

function changeRequest(
  context: Context,
  subscription: Stripe.Subscription,
  { price, prorationDate }: PlanChange,
): ChangeRequest {
  const item = planItem(subscription);
  if (item === undefined || listPlans(context, subscription).every(({ id }) => id !== price))
    throw invalidRequest('This plan cannot be chosen.');
  const { proration_behavior } = defaultConfiguration(context).features.subscription_update;
  return {
    items: [{ id: item.id, price, quantity: item.quantity }],
    prorationBehavior: proration_behavior === 'none' ? 'none' : 'always_invoice',
    prorationDate,
  };
}

/** What a change of plan will cost. */
export function previewPlan(context: Context, customer: string, change: PlanChange): Stripe.Invoice {
  const subscription = findOwn(context, customer, change.subscription);
  return previewChange(context, subscription, changeRequest(context, subscription, change));
}

/** Changes the plan, if its payment succeeds. */
export function changePlan(context: Context, customer: string, change: PlanChange): Stripe.Subscription {
  const subscription = findOwn(context, customer, change.subscription);
  const begun = changeNow(context, subscription, changeRequest(context, subscription, change));
  return collect(context, begun, 'error_if_incomplete');
}

/** A new card pays from now on: for the customer, and for each subscription that had one of its own. */
export function replaceCard(context: Context, customer: string, card: CardDetails): Stripe.PaymentMethod {
  const { id, invoice_settings } = findCustomer(context, customer);
  const method = attachMethod(context, createCardMethod(context, card), id);
  changeCustomer(context, id, {
    invoice_settings: { ...invoice_settings, default_payment_method: method.id },
  });
  for (const subscription of listLive(context, id))
    if (subscription.default_payment_method !== null)
      changeSubscription(context, subscription.id, { default_payment_method: method.id });
  return method;
}
