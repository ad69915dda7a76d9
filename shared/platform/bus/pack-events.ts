import { hash } from 'node:crypto';
import type { ServiceBusMessage } from '@azure/service-bus';
import type { CloudEvent } from './events.ts';

/** CloudEvents 1.0, JSON format: the body is one event. */
export const ONE_EVENT = 'application/cloudevents+json';
/** CloudEvents 1.0, JSON batch format: the body is an array of events. */
export const EVENT_BATCH = 'application/cloudevents-batch+json';

/**
 * The most bytes of a body with several events. Service Bus meters a message in steps of 64 KB, including its headers.
 * Larger messages save nothing, and a retry costs more.
 */
const SHARED_BODY_MAX = 60 * 1024;
/**
 * The most events of one message. At this number, a message costs little compared to its events. Hosts limit a batch by its
 * messages, and a failed batch is delivered again as a whole: 100 messages (host.json) are 5,000 events.
 */
const SHARED_EVENTS_MAX = 50;

/** A message and its events. */
export interface PackedMessage {
  readonly message: ServiceBusMessage;
  readonly events: readonly CloudEvent[];
}

interface WrittenEvent {
  readonly event: CloudEvent;
  readonly text: string;
}

/**
 * Packs events of one queue, in order, into as few messages as possible. An event that is alone in its message travels in
 * structured mode, also when it is too large: only the broker knows its limit.
 */
export function packEvents(events: readonly CloudEvent[]): PackedMessage[] {
  const packed: PackedMessage[] = [];
  let group: WrittenEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const text = JSON.stringify(event);
    const size = Buffer.byteLength(text) + 1; // with a comma or a bracket
    if (group.length === SHARED_EVENTS_MAX || bytes + size >= SHARED_BODY_MAX) {
      if (group.length > 0) packed.push(messageOf(group));
      [group, bytes] = [[], 0];
    }
    group.push({ event, text });
    bytes += size;
  }
  if (group.length > 0) packed.push(messageOf(group));
  return packed;
}

function messageOf(group: readonly WrittenEvent[]): PackedMessage {
  const events = group.map(({ event }) => event);
  const texts = group.map(({ text }) => text);
  const [only] = events;
  const isAlone = events.length === 1;
  const message = {
    body: Buffer.from(isAlone ? texts.join('') : `[${texts.join(',')}]`, 'utf8'),
    messageId: isAlone && only !== undefined ? only.id : batchId(events),
    contentType: isAlone ? ONE_EVENT : EVENT_BATCH,
  };
  return { message, events };
}

/**
 * A message id made from its events. The broker drops a message whose id it has seen recently. That is allowed only if it
 * has every event of the message, so equal ids must mean equal sets of events. When the same events are packed in other
 * groups, they have other ids and arrive twice. Consumers count them once, by source and id.
 */
function batchId(events: readonly CloudEvent[]): string {
  const identities = events.map(({ source, id }) => JSON.stringify([source, id])).sort();
  return hash('sha256', identities.join('\n'), 'base64url');
}
