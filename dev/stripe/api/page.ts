import type Stripe from 'stripe';
import { createdOf, idOf } from '../objects/kinds.ts';
import type { StripeObject } from '../objects/kinds.ts';
import type { Context } from './context.ts';
import { integer, isInRange, text, timeRange } from './params.ts';
import { invalidRequest, noSuchObject } from './stripe-error.ts';

const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 10;

/** The parameters of every list. */
export const pageParams = {
  limit: integer({ min: 1, max: MAX_LIMIT }).optional(),
  starting_after: text().optional(),
  ending_before: text().optional(),
};

/** The same, of a list that can be asked for a time. */
export const timedPageParams = { ...pageParams, created: timeRange().optional() };

interface Page {
  readonly limit?: number | undefined;
  readonly starting_after?: string | undefined;
  readonly ending_before?: string | undefined;
  readonly created?: Parameters<typeof isInRange>[1];
}

function findCursor(all: readonly StripeObject[], id: string, param: string): number {
  const index = all.findIndex((object) => idOf(object) === id);
  if (index < 0) throw noSuchObject(all[0]?.object ?? 'object', id, param);
  return index;
}

/** A whole list as it stands inside an object (`subscription.items`). */
export function listInside<T>(url: string, data: T[]): Stripe.ApiList<T> {
  return { object: 'list', data, has_more: false, url };
}

/**
 * One page of what `keep` keeps. `all` is everything that the cursor may name, the newest first (`context.store.list(kind)`):
 * a cursor stays good when its object no longer passes the filter.
 */
export function paginate<T extends StripeObject>(
  context: Context,
  all: readonly T[],
  { limit = DEFAULT_LIMIT, starting_after, ending_before, created }: Page,
  keep: (object: T) => boolean = () => true,
): Stripe.ApiList<T> {
  if (starting_after !== undefined && ending_before !== undefined)
    throw invalidRequest('You may only specify one of these parameters: starting_after, ending_before.');
  const isKept = (object: T): boolean => isInRange(createdOf(object), created) && keep(object);
  const from = starting_after === undefined ? 0 : findCursor(all, starting_after, 'starting_after') + 1;
  const to = ending_before === undefined ? all.length : findCursor(all, ending_before, 'ending_before');
  const found = all.slice(from, to).filter(isKept);
  const data = ending_before === undefined ? found.slice(0, limit) : found.slice(-limit);
  return { object: 'list', data, has_more: found.length > data.length, url: context.cause?.path ?? '' };
}
