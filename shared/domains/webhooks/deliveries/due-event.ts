import {
  newEvent,
  WEBHOOK_DELIVERY_DUE,
  type CloudEvent,
  type WebhookDeliveryDueData,
} from '../../../platform/bus/events.ts';
import { MINUTE_MS } from '../../../platform/time/clock.ts';

/**
 * A delivery whose message was sent, and of which nothing was heard since, is queued again after this: the message may be lost. Longer
 * than a message usually waits, so that a busy queue does not fill with repetitions.
 */
const OVERDUE_MS = 10 * MINUTE_MS;

/** When the timer queues a delivery again whose message is on its way. */
export function overdueAt(now: Date): Date {
  return new Date(now.getTime() + OVERDUE_MS);
}

/** The message for a delivery's next attempt. */
export function dueEvent(
  of: { readonly tenant_id: string; readonly delivery_id: string; readonly attempts: number },
  now: Date,
): CloudEvent<WebhookDeliveryDueData> {
  const data = { tenant_id: of.tenant_id, delivery_id: of.delivery_id, attempt: of.attempts };
  return newEvent(WEBHOOK_DELIVERY_DUE, data, now);
}
