import type { CloudEvent } from '../shared/platform/bus/events.ts';
import { AUDIT_RECORDED, newEvent, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { BusSender } from '../shared/platform/bus/bus-sender.ts';
import type { Settings } from '../shared/platform/config/settings.ts';
import { newId } from '../shared/platform/ids/ids.ts';

/** Messages handed to the sender at once: it splits them into batches that the broker takes. */
const SEND = 1_000;

/** The kinds of events that are measured. */
export type EventKind = 'audit' | 'usage';

/** An event as a write of this service causes it. */
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

/** Fills the queue of a kind with so many events. */
export async function fillQueue(settings: Settings, kind: EventKind, events: number): Promise<void> {
  const sender = new BusSender(settings);
  try {
    for (let sent = 0; sent < events; sent += SEND) {
      const now = new Date();
      const some = Array.from({ length: Math.min(SEND, events - sent) }, () => makeEvent(kind, now));
      await sender.publish(some);
    }
  } finally {
    await sender.reset();
  }
}
