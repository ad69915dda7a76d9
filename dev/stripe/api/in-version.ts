import type Stripe from 'stripe';
import { includableFields } from '../objects/expandable.ts';
import { isOfKind } from '../objects/kinds.ts';
import type { Kind, ObjectOf, StripeObject } from '../objects/kinds.ts';
import { inMajor } from '../objects/older-shapes/in-version.ts';
import type { Look } from '../objects/older-shapes/patch.ts';
import { recallCoupon } from '../store/deleted-coupon.ts';
import type { Store } from '../store/store.ts';
import { asItIsNow } from './as-it-is-now.ts';
import { findPrevious, isPlain } from './find-previous.ts';
import { renderPast } from './render.ts';
import { majorOf } from './versions.ts';
import type { ApiVersion } from './versions.ts';

/** Without what only `expand` brings. */
function withoutIncludable<T extends StripeObject>(object: T): T {
  const copy = { ...object };
  for (const name of includableFields(object.object)) Reflect.deleteProperty(copy, name);
  return copy;
}

/** What older shapes put where the current one has an id. */
function lookIn(store: Store, now: number): Look {
  return {
    get: <K extends Kind>(kind: K, id: string): ObjectOf<K> | undefined => {
      const found: StripeObject | undefined =
        kind === 'coupon' ? recallCoupon(store, id) : store.get(kind, id);
      if (found === undefined || !isOfKind(found, kind)) return undefined;
      return withoutIncludable(asItIsNow(store, found, now));
    },
    list: (kind, keep) => store.list(kind, keep),
  };
}

/** An answer in the shape of a version. */
export function answerInVersion(store: Store, now: number, answer: unknown, version: ApiVersion): unknown {
  return inMajor(answer, majorOf(version), lookIn(store, now));
}

/** What an object was before a change, put together from what it is and from what the event says was in place. */
function undo(after: object, previous: object): object {
  const before = new Map<string, unknown>(Object.entries(after));
  for (const [name, was] of Object.entries(previous)) {
    const is = before.get(name);
    before.set(name, isPlain(is) && isPlain(was) ? undo(is, was) : was);
  }
  return Object.fromEntries(before);
}

/**
 * An event as an endpoint of a version gets it. What was before is told in that version too: a subscription's new period is
 * one of its items in `basil`, and its own in `acacia`.
 */
export function eventInVersion(
  store: Store,
  now: number,
  event: Stripe.EventBase,
  version: ApiVersion,
): object {
  const major = majorOf(version);
  const look = lookIn(store, now);
  const { object, previous_attributes: previous, ...others } = event.data;
  const after = renderPast(store, object);
  const shaped = inMajor(after, major, look);
  const data: Record<string, unknown> = { ...others, object: shaped };
  if (previous !== undefined && isPlain(after) && isPlain(shaped)) {
    const before = inMajor(undo(after, previous), major, look);
    data['previous_attributes'] = isPlain(before) ? findPrevious(before, shaped) : {};
  }
  return { ...event, api_version: version, data };
}
