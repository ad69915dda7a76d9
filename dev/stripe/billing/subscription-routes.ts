import type Stripe from 'stripe';
import type { z } from 'zod';
import type { Context } from '../api/context.ts';
import { applyMetadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import {
  boolean,
  currency,
  hash,
  integer,
  isInRange,
  oneOf,
  text,
  timeRange,
  timestamp,
} from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest, noSuchObject, notInStandIn } from '../api/stripe-error.ts';
import { findCustomer, ownerOf } from '../customers/customer-time.ts';
import { refId } from '../objects/refs.ts';
import { endDiscount } from '../seams/coupons-and-meters.ts';
import { changeSubscription, hasEnded } from '../subscriptions/status.ts';
import { cancelNow, scheduleCancellation } from './cancellation.ts';
import { changeNow } from './change.ts';
import type { ChangeRequest } from './change.ts';
import { collect } from './collect.ts';
import { resumePaused } from './resume.ts';
import { beginSubscription } from './start.ts';
import {
  billingMode,
  cancellationDetails,
  changedItems,
  newItems,
  prorationBehavior,
  readItems,
  readMethod,
  sharedParams,
  sharedUnsupported,
} from './subscription-params.ts';

/** The subscription of a change, whose customer's clock stands. */
export function findSubscription(context: Context, id: string, param?: string): Stripe.Subscription {
  const subscription = context.find('subscription', id, param);
  if (!hasEnded(subscription)) ownerOf(context, subscription);
  return subscription;
}

const createParams = {
  ...sharedParams,
  billing_cycle_anchor: timestamp().optional(),
  billing_mode: billingMode.optional(),
  currency: currency().optional(),
  customer: text(),
  items: newItems,
  trial_period_days: integer({ min: 0, max: 730 }).optional(),
};

const changeParams = {
  ...sharedParams,
  billing_cycle_anchor: hash({ type: oneOf('now', 'unchanged') }).optional(),
  cancellation_details: cancellationDetails.optional(),
  items: changedItems.optional(),
  proration_date: timestamp().optional(),
};

type CreateParams = z.output<z.ZodObject<typeof createParams>>;
type ChangeParams = z.output<z.ZodObject<typeof changeParams>>;

function createSubscription(context: Context, given: CreateParams): Stripe.Subscription {
  const customer = findCustomer(context, given.customer);
  const items = readItems(context, given.items);
  const method = readMethod(context, customer, given.default_payment_method);
  const begun = beginSubscription(context, {
    customer,
    items,
    anchor: given.billing_cycle_anchor,
    trialEnd: given.trial_end,
    trialDays: given.trial_period_days,
    missingPaymentMethod: given.trial_settings?.end_behavior.missing_payment_method,
    prorationBehavior: given.proration_behavior,
    defaultPaymentMethod: method,
    saveDefaultPaymentMethod: given.payment_settings?.save_default_payment_method,
    description: given.description,
    discounts: given.discounts ?? [],
    metadata: applyMetadata({}, given.metadata),
  });
  const { id } = collect(context, begun, given.payment_behavior ?? 'allow_incomplete');
  const { cancel_at, cancel_at_period_end } = given;
  if (cancel_at === undefined && cancel_at_period_end !== true) return context.find('subscription', id);
  const { start_date } = begun.subscription;
  const begunNow = context.find('subscription', id);
  return changeSubscription(
    context,
    id,
    scheduleCancellation(begunNow, { cancel_at, cancel_at_period_end }, start_date),
  );
}

function readFields(
  context: Context,
  before: Stripe.Subscription,
  given: ChangeParams,
): NonNullable<ChangeRequest['fields']> {
  const method = readMethod(context, ownerOf(context, before), given.default_payment_method);
  const { save_default_payment_method: save } = given.payment_settings ?? {};
  const { end_behavior } = given.trial_settings ?? {};
  return {
    ...(method === undefined ? {} : { default_payment_method: method }),
    ...(given.description === undefined ? {} : { description: given.description }),
    metadata: applyMetadata(before.metadata, given.metadata),
    ...(save === undefined || before.payment_settings === null
      ? {}
      : { payment_settings: { ...before.payment_settings, save_default_payment_method: save } }),
    ...(end_behavior === undefined
      ? {}
      : {
          trial_settings: {
            end_behavior: {
              billing_cycle_anchor: null,
              missing_payment_method: end_behavior.missing_payment_method,
            },
          },
        }),
  };
}

/** A subscription that has ended keeps all but its metadata. */
function changeEnded(
  context: Context,
  before: Stripe.Subscription,
  given: ChangeParams,
): Stripe.Subscription {
  const { metadata: change, ...others } = given;
  if (Object.values(others).some((value) => value !== undefined))
    throw invalidRequest('A canceled subscription can only update its cancellation_details and metadata.', {
      code: 'invalid_canceled_subscription_fields',
    });
  return changeSubscription(context, before.id, { metadata: applyMetadata(before.metadata, change) });
}

function updateSubscription(context: Context, id: string, given: ChangeParams): Stripe.Subscription {
  const before = findSubscription(context, id);
  if (hasEnded(before)) return changeEnded(context, before, given);
  const begun = changeNow(context, before, {
    items: given.items,
    prorationBehavior: given.proration_behavior,
    prorationDate: given.proration_date,
    anchor: given.billing_cycle_anchor?.type,
    trialEnd: given.trial_end,
    discounts: given.discounts,
    cancel_at: given.cancel_at,
    cancel_at_period_end: given.cancel_at_period_end,
    cancellation_details: given.cancellation_details,
    fields: readFields(context, before, given),
  });
  return collect(context, begun, given.payment_behavior ?? 'allow_incomplete');
}

function fitsStatus({ status }: Stripe.Subscription, wanted: string | undefined): boolean {
  switch (wanted) {
    case undefined:
      return status !== 'canceled' && status !== 'incomplete_expired';
    case 'all':
      return true;
    case 'ended':
      return status === 'canceled' || status === 'incomplete_expired';
    default:
      return status === wanted;
  }
}

export const subscriptions: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/subscriptions',
      params: createParams,
      unsupported: [
        ...sharedUnsupported,
        'backdate_start_date',
        'billing_cycle_anchor_config',
        'customer_account',
      ],
      run: createSubscription,
    }),
    route({
      method: 'GET',
      path: '/v1/subscriptions/{id}',
      params: {},
      run: (context, _params, id) => context.find('subscription', id),
    }),
    route({
      method: 'POST',
      path: '/v1/subscriptions/{id}',
      params: changeParams,
      unsupported: [...sharedUnsupported, 'pause_collection'],
      run: (context, given, id) => updateSubscription(context, id, given),
    }),
    route({
      method: 'DELETE',
      path: '/v1/subscriptions/{id}',
      params: {
        cancellation_details: cancellationDetails.optional(),
        invoice_now: boolean().optional(),
        prorate: boolean().optional(),
      },
      run: (context, { cancellation_details, invoice_now, prorate }, id) => {
        const subscription = findSubscription(context, id);
        if (hasEnded(subscription)) throw noSuchObject('subscription', id);
        const details = cancellation_details;
        return cancelNow(context, subscription, { invoiceNow: invoice_now, prorate, details });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/subscriptions/{id}/resume',
      params: {
        billing_cycle_anchor: hash({ type: oneOf('now', 'unchanged') }).optional(),
        payment_behavior: oneOf('resume_on_payment_attempt', 'resume_on_payment_success').optional(),
        proration_behavior: prorationBehavior.optional(),
      },
      unsupported: ['proration_date'],
      run: (context, { billing_cycle_anchor, payment_behavior }, id) => {
        if (billing_cycle_anchor?.type === 'unchanged')
          throw notInStandIn('resumption in the period that was', 'billing_cycle_anchor');
        return resumePaused(context, findSubscription(context, id), payment_behavior);
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/subscriptions/{id}/discount',
      params: {},
      run: (context, _params, id) => {
        const subscription = findSubscription(context, id);
        const [first] = subscription.discounts.map((discount) => refId(discount));
        if (first === undefined) throw noSuchObject('discount', id);
        const discount = context.find('discount', first);
        endDiscount(context, first);
        changeSubscription(context, id, { discounts: subscription.discounts.slice(1) });
        return { ...discount, deleted: true };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/subscriptions',
      params: {
        ...timedPageParams,
        collection_method: oneOf('charge_automatically', 'send_invoice').optional(),
        current_period_end: timeRange().optional(),
        current_period_start: timeRange().optional(),
        customer: text().optional(),
        price: text().optional(),
        status: oneOf(
          'active',
          'all',
          'canceled',
          'ended',
          'incomplete',
          'incomplete_expired',
          'past_due',
          'paused',
          'trialing',
          'unpaid',
        ).optional(),
        test_clock: text().optional(),
      },
      unsupported: ['automatic_tax', 'customer_account', 'plan'],
      run: (context, { customer, price, status, test_clock, ...given }) => {
        const { collection_method, current_period_end, current_period_start, ...page } = given;
        // As at Stripe, those of a test clock are listed only for their clock or their customer.
        const isInClock = (subscription: Stripe.Subscription): boolean =>
          test_clock === undefined
            ? customer !== undefined || subscription.test_clock === null
            : subscription.test_clock === test_clock;
        return paginate(context, context.store.list('subscription'), page, (subscription) => {
          const items = subscription.items.data;
          return (
            isInClock(subscription) &&
            fitsStatus(subscription, status) &&
            (customer === undefined || subscription.customer === customer) &&
            (price === undefined || items.some((item) => item.price.id === price)) &&
            (collection_method === undefined || subscription.collection_method === collection_method) &&
            items.some((item) => isInRange(item.current_period_end, current_period_end)) &&
            items.some((item) => isInRange(item.current_period_start, current_period_start))
          );
        });
      },
    }),
  ],
};
