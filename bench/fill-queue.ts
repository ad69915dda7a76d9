import type { ServiceBusMessage } from '@azure/service-bus';
import type { CloudEvent } from '../shared/platform/bus/events.ts';
import { AUDIT_RECORDED, newEvent, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { BusSender } from '../shared/platform/bus/bus-sender.ts';
import { packEvents } from '../shared/platform/bus/pack-events.ts';
import type { Settings } from '../shared/platform/config/settings.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { FLUSH_MAX } from '../shared/platform/writes/outbox-publisher.ts';

/** The measured kinds of events. */
export type EventKind = 'audit' | 'usage';

/** An event like one that a write of this service causes. */
export function makeEvent(kind: EventKind, at: Date): CloudEvent {
  const data =
    kind === 'usage'
      ? { tenant_id: 'acme', usage_unit: 'count', usage_type: 'api_calls', usage_amount: 1 }
      : {
          tenant_id: 'acme',
          actor: 'key:abcdefghijklmnopqrst',
          action: 'mapping.created',
          resource_type: 'mapping',
          resource_id: newId(at),
          outcome: 'success',
          details: { detector: 'regex-pii', completed: true, record_id: newId(at) },
          ip_address: null,
          user_agent: 'bench',
          trace_id: '0123456789abcdef0123456789abcdef',
        };
  return newEvent(kind === 'usage' ? USAGE_RECORDED : AUDIT_RECORDED, data, at);
}

/**
 * How events are packed into messages. `shared`: several events per message, as this service publishes them. `alone`: one
 * event per message, as another producer may do.
 */
export type Packing = 'shared' | 'alone';

/** Packs events into messages. */
export function packedMessages(events: readonly CloudEvent[], packing: Packing): ServiceBusMessage[] {
  const groups = packing === 'shared' ? [events] : events.map((event) => [event]);
  return groups.flatMap((group) => packEvents(group)).map(({ message }) => message);
}

/** Fills the queue of a kind with events. Returns the number of messages. */
export async function fillQueue(
  settings: Settings,
  kind: EventKind,
  events: number,
  packing: Packing,
): Promise<number> {
  const sender = new BusSender(settings);
  let messages = 0;
  try {
    for (let sent = 0; sent < events; sent += FLUSH_MAX) {
      const now = new Date();
      const some = Array.from({ length: Math.min(FLUSH_MAX, events - sent) }, () => makeEvent(kind, now));
      const packed = packedMessages(some, packing);
      messages += packed.length;
      await sender.send(`${kind}-events`, packed);
    }
    return messages;
  } finally {
    await sender.reset();
  }
}
