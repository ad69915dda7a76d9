import type { EventConsumer, TenantEvent } from '../../platform/consume/event-consumer.ts';
import { fanOut } from './deliveries/fan-out.ts';
import type { Fact } from './facts/fact.ts';
import { isTold } from './facts/told-tenants.ts';

/**
 * A consumer that also tells the facts of its events to the tenants' endpoints, after it has written them. So the request that
 * caused a fact does nothing for webhooks, whoever has endpoints. If this fails, the batch comes again, and both steps find what
 * they did already.
 */
export function withWebhooks<T extends { readonly tenant_id: string }>(
  consumer: EventConsumer<T>,
  factOf: (event: TenantEvent<T>) => Fact | undefined,
): EventConsumer<T> {
  return {
    ...consumer,
    async write(services, events, now, tally) {
      await consumer.write(services, events, now, tally);
      const facts = events.flatMap((event) => (isTold(event.tenant.status) ? (factOf(event) ?? []) : []));
      await fanOut(services, facts, now);
    },
  };
}
