import {
  STRIPE_EVENT_RECEIVED,
  stripeEventData,
  type StripeEventData,
} from '../../../platform/bus/events.ts';
import type { TenantlessConsumer } from '../../../platform/consume/event-consumer.ts';
import { processEvents } from './process-events.ts';

/** A message names a row, and a row is kept for 400 days. */
const MAX_AGE_DAYS = 400;

/**
 * A batch begins no other object after this time: its messages are locked for five minutes, and a call of Stripe takes up to
 * half a minute. The rest is left to the timer.
 */
const BUDGET_MS = 120_000;

/**
 * Processes stored events of Stripe. Where Stripe cannot be asked, the row says when it is tried again and its message is done,
 * so Stripe's absence blocks no queue and fills no dead-letter queue.
 */
export const stripeEventsConsumer: TenantlessConsumer<StripeEventData> = {
  tenantless: true,
  type: STRIPE_EVENT_RECEIVED,
  schema: stripeEventData,
  maxAgeDays: MAX_AGE_DAYS,
  async write(services, events, now) {
    const until = performance.now() + BUDGET_MS;
    const ids = [...new Set(events.map(({ data }) => data.stripe_event_id))];
    const { unexpected } = await processEvents(services, ids, now, () => performance.now() < until);
    if (unexpected.length > 0) throw unexpected[0];
  },
};
