import type { Context } from '../api/context.ts';
import type { Due } from '../api/due.ts';
import { refId } from '../objects/refs.ts';
import { expireSession } from './session.ts';

/** Sessions that nobody has completed expire, in the time of their customer. */
export function listCheckoutDues({ store }: Context, testClock: string | null): Due[] {
  const open = store.list('checkout.session', ({ status, customer }) => {
    const clock = store.get('customer', refId(customer) ?? '')?.test_clock;
    return status === 'open' && (refId(clock) ?? null) === testClock;
  });
  return open.map(({ id, expires_at }) => ({
    key: `${id} expire`,
    at: expires_at,
    run: (context) => void expireSession(context, context.find('checkout.session', id)),
  }));
}
