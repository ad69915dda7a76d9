import type { Call } from '../../../platform/call/call.ts';
import { accepted, type Reply } from '../../../platform/call/reply.ts';
import { performPlatformWrite } from '../../../platform/writes/perform-write.ts';
import type { StripeEventItem, StripeEventReplayed } from './event-schemas.ts';
import { noSuchEvent } from './read-events.ts';
import { OVERDUE_MS, receivedEntry } from './store-events.ts';

type Replayable = Pick<StripeEventItem, 'event_id' | 'type' | 'status'>;

/**
 * Lets an event be processed again. That is harmless at any time, because its object is fetched again. An event whose type is
 * ignored becomes `ignored` again, unless this build knows its type meanwhile.
 * @throws Problem 404.
 */
export function replayStripeEvent(call: Call, eventId: string): Promise<Reply<202, StripeEventReplayed>> {
  const { now } = call;
  return performPlatformWrite(
    call,
    async (transaction) => {
      const [event] = await transaction.query<Replayable>(
        `select event_id, type, status from stripe_events where event_id = $1 for update`,
        [eventId],
      );
      if (event === undefined) throw noSuchEvent();
      await transaction.query(
        `update stripe_events
            set status = 'received', error = null, processed_at = null, attempts = 0, next_attempt_at = $2, updated_at = $3
          where event_id = $1`,
        [eventId, new Date(now.getTime() + OVERDUE_MS), now],
      );
      return {
        reply: accepted({ event_id: eventId, type: event.type, status: 'received' }),
        audit: {
          action: 'stripe_event.replayed',
          resource_type: 'stripe_event',
          resource_id: eventId,
          details: { type: event.type, was: event.status },
        },
        events: receivedEntry(eventId, now).events,
      };
    },
    { database: 'billing' },
  );
}
