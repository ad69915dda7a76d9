import type { Context, EventObject, EventType } from './context.ts';
import { isStripeObject } from '../objects/kinds.ts';

/**
 * Stores an object in its new state, with an event that does not say what was there before. Stripe says that only where an object
 * was updated (`context.change`).
 */
export function record<T extends EventType>(
  context: Context,
  type: T,
  object: EventObject<T>,
): EventObject<T> {
  const stored: object = object;
  if (!isStripeObject(stored)) throw new Error('the stand-in keeps no such objects');
  context.store.put(stored);
  context.emit(type, object);
  return object;
}
