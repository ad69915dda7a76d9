import type Stripe from 'stripe';
import type { Store } from '../store/store.ts';

/** `invoice.*` stands for all types that begin so, `*` for all. */
export function fitsType(type: string, wanted: string): boolean {
  return wanted.endsWith('*') ? type.startsWith(wanted.slice(0, -1)) : type === wanted;
}

/** The enabled endpoints that take events of this type, the oldest first. */
export function listReceivers(store: Store, type: string): Stripe.WebhookEndpoint[] {
  const takes = ({ status, enabled_events }: Stripe.WebhookEndpoint): boolean =>
    status === 'enabled' && enabled_events.some((enabled) => enabled === '*' || enabled === type);
  return store.list('webhook_endpoint', takes).reverse();
}
