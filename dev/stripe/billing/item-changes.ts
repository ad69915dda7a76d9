import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata } from '../api/metadata.ts';
import type { MetadataChange } from '../api/metadata.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { findRecurringPrice, makeItem, recurrenceOf, withPrice } from '../subscriptions/items.ts';
import { findPeriod } from '../subscriptions/periods.ts';
import type { Period } from '../subscriptions/periods.ts';

/** One of `items[]`: an item changes, goes or comes. */
export interface ItemChange {
  readonly id?: string | undefined;
  readonly price?: string | undefined;
  readonly quantity?: number | undefined;
  readonly deleted?: boolean | undefined;
  readonly metadata?: MetadataChange | undefined;
}

function changeItem(
  context: Context,
  item: Stripe.SubscriptionItem,
  change: ItemChange,
  index: number,
): Stripe.SubscriptionItem {
  const price =
    change.price === undefined || change.price === item.price.id
      ? item.price
      : findRecurringPrice(context, change.price, `items[${index}][price]`);
  const isMetered = price.recurring?.usage_type === 'metered';
  const quantity = change.quantity ?? (isMetered ? undefined : item.quantity);
  return { ...withPrice(item, price, quantity), metadata: applyMetadata(item.metadata, change.metadata) };
}

/** The period that an item joins which comes into a subscription that runs. */
function currentPeriod(subscription: Stripe.Subscription, price: Stripe.Price, now: number): Period {
  const other = subscription.items.data[0];
  if (subscription.status === 'trialing' && other !== undefined)
    return { start: now, end: other.current_period_end };
  return findPeriod(subscription.billing_cycle_anchor, recurrenceOf(price), now);
}

function addItem(
  context: Context,
  subscription: Stripe.Subscription,
  change: ItemChange,
  { index, now }: { index: number; now: number },
): Stripe.SubscriptionItem {
  if (change.price === undefined)
    throw invalidRequest('You must pass the price of a new item.', {
      code: 'parameter_missing',
      param: `items[${index}][price]`,
    });
  const price = findRecurringPrice(context, change.price, `items[${index}][price]`);
  return makeItem(context, {
    subscription: subscription.id,
    price,
    quantity: change.quantity,
    metadata: applyMetadata({}, change.metadata),
    period: currentPeriod(subscription, price, now),
    created: now,
  });
}

/** A subscription's items after a change. Those that are not named stay. */
export function changeItems(
  context: Context,
  subscription: Stripe.Subscription,
  changes: readonly ItemChange[],
  now: number,
): Stripe.SubscriptionItem[] {
  let items = subscription.items.data;
  for (const [index, change] of changes.entries()) {
    if (change.id === undefined) {
      items = [...items, addItem(context, subscription, change, { index, now })];
      continue;
    }
    if (!items.some(({ id }) => id === change.id))
      throw invalidRequest(`No such subscription item: '${change.id}'`, {
        code: 'resource_missing',
        param: `items[${index}][id]`,
      });
    items = items.flatMap((item) => {
      if (item.id !== change.id) return [item];
      return change.deleted === true ? [] : [changeItem(context, item, change, index)];
    });
  }
  return items;
}
