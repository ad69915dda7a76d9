import { isSyncedType } from '../sync/sync-object.ts';
import type { StripeRef } from '../sync/work.ts';

/**
 * Which events are processed, and the type of the object that each is about. A name that ends in a dot stands for all types
 * that begin with it; the longest name that fits counts. `null`, and every type that nothing here fits, is stored as `ignored`:
 * it changes no row. Events of prices, products, coupons, promotion codes and meters are among those: this service owns them.
 */
const EVENT_OBJECTS: Readonly<Record<string, string | null>> = {
  'customer.created': 'customer',
  'customer.updated': 'customer',
  'customer.deleted': 'customer',
  'customer.subscription.': 'subscription',
  'invoice.': 'invoice',
  // A preview. It has no id.
  'invoice.upcoming': null,
  'invoice_payment.': 'invoice_payment',
  'payment_intent.': 'payment_intent',
  'charge.': 'charge',
  'charge.dispute.': 'dispute',
  'charge.refund.': 'refund',
  'refund.': 'refund',
  'payment_method.': 'payment_method',
  'checkout.session.': 'checkout.session',
};

/** The type of object that events of a type are about; undefined where they are ignored. */
function objectTypeOf(eventType: string): string | undefined {
  let name = eventType;
  for (;;) {
    if (Object.hasOwn(EVENT_OBJECTS, name)) return EVENT_OBJECTS[name] ?? undefined;
    const dot = name.lastIndexOf('.', name.length - 2);
    if (dot < 0) return undefined;
    name = name.slice(0, dot + 1);
  }
}

/** An event's type, and the object that it came with. */
export interface EventSubject {
  readonly type: string;
  readonly object_type: string | null;
  readonly object_id: string | null;
}

/** The object to fetch because of an event; undefined if the event changes nothing here. */
export function objectOf(event: EventSubject): StripeRef | undefined {
  const type = objectTypeOf(event.type);
  if (type === undefined || type !== event.object_type || event.object_id === null) return undefined;
  return isSyncedType(type) ? { type, id: event.object_id } : undefined;
}
