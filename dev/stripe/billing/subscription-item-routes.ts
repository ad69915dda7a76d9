import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { metadata } from '../api/metadata.ts';
import { pageParams, paginate } from '../api/page.ts';
import { integer, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { noSuchObject } from '../api/stripe-error.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { changeNow } from './change.ts';
import type { ProrationBehavior } from './change.ts';
import { collect } from './collect.ts';
import type { PaymentBehavior } from './collect.ts';
import type { ItemChange } from './item-changes.ts';
import { paymentBehavior, prorationBehavior } from './subscription-params.ts';
import { findSubscription } from './subscription-routes.ts';

const changeParams = {
  payment_behavior: paymentBehavior.optional(),
  proration_behavior: prorationBehavior.optional(),
  proration_date: timestamp().optional(),
};

const itemParams = {
  ...changeParams,
  metadata: metadata().optional(),
  quantity: integer({ min: 0, max: 999_999 }).optional(),
};

const unsupported = [
  'billing_thresholds',
  'current_trial',
  'discounts',
  'off_session',
  'plan',
  'price_data',
  'tax_rates',
];

function findItem(
  context: Context,
  id: string,
): { item: Stripe.SubscriptionItem; subscription: Stripe.Subscription } {
  for (const subscription of context.store.list('subscription')) {
    const item = subscription.items.data.find((one) => one.id === id);
    if (item !== undefined) return { item, subscription };
  }
  throw noSuchObject('subscription_item', id);
}

interface Behavior {
  readonly payment_behavior?: PaymentBehavior | undefined;
  readonly proration_behavior?: ProrationBehavior | undefined;
  readonly proration_date?: number | undefined;
}

/** Changes a subscription by one item of it. */
function changeByItem(
  context: Context,
  subscription: string,
  change: ItemChange,
  how: Behavior,
): Stripe.Subscription {
  const begun = changeNow(context, findSubscription(context, subscription, 'subscription'), {
    items: [change],
    prorationBehavior: how.proration_behavior,
    prorationDate: how.proration_date,
  });
  return collect(context, begun, how.payment_behavior ?? 'allow_incomplete');
}

export const subscriptionItems: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/subscription_items',
      params: { ...itemParams, price: text(), subscription: text() },
      unsupported,
      run: (context, { price, quantity, metadata: change, subscription, ...how }) => {
        const known = context.find('subscription', subscription, 'subscription').items.data;
        const after = changeByItem(context, subscription, { price, quantity, metadata: change }, how);
        const added = after.items.data.find(({ id }) => known.every((item) => item.id !== id));
        if (added === undefined) throw new Error('an item was added and is not there');
        return added;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/subscription_items/{id}',
      params: {},
      run: (context, _params, id) => findItem(context, id).item,
    }),
    route({
      method: 'POST',
      path: '/v1/subscription_items/{id}',
      params: { ...itemParams, price: text().optional() },
      unsupported,
      run: (context, { price, quantity, metadata: change, ...how }, id) => {
        const { subscription } = findItem(context, id);
        changeByItem(context, subscription.id, { id, price, quantity, metadata: change }, how);
        return findItem(context, id).item;
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/subscription_items/{id}',
      params: changeParams,
      unsupported: ['clear_usage'],
      run: (context, how, id): DeletedObject<'subscription_item'> => {
        changeByItem(context, findItem(context, id).subscription.id, { id, deleted: true }, how);
        return { id, object: 'subscription_item', deleted: true };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/subscription_items',
      params: { ...pageParams, subscription: text() },
      run: (context, { subscription, ...page }) =>
        paginate(context, context.find('subscription', subscription, 'subscription').items.data, page),
    }),
  ],
};
