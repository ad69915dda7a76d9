import { hash } from 'node:crypto';
import type { ServiceBusMessage } from '@azure/service-bus';
import type { CloudEvent } from './events.ts';

/** CloudEvents 1.0, JSON format: the body is one event. */
export const ONE_EVENT = 'application/cloudevents+json';
/** CloudEvents 1.0, JSON batch format: the body is an array of events. */
export const EVENT_BATCH = 'application/cloudevents-batch+json';

/**
 * Bytes of a body that events share. Service Bus meters a message by the 64 KB, with its headers; larger messages save
 * nothing, and cost more to send again.
 */
const SHARED_BODY_MAX = 60 * 1024;
/**
 * Events of one message. What a message costs is by then a small part of what its events cost; and hosts count messages
 * where they bound a batch, all of which comes again when it fails: 100 messages (host.json) are 5,000 events.
 */
const SHARED_EVENTS_MAX = 50;

/** A message, and the events in it. */
export interface PackedMessage {
  readonly message: ServiceBusMessage;
  readonly events: readonly CloudEvent[];
}

interface WrittenEvent {
  readonly event: CloudEvent;
  readonly text: string;
}

/**
 * Packs events of one queue into as few messages as their limits allow, in order. An event that shares its message with
 * no other one travels alone, in structured mode, however large it is: whether a broker takes it is the broker's to say.
 */
export function packEvents(events: readonly CloudEvent[]): PackedMessage[] {
  const packed: PackedMessage[] = [];
  let group: WrittenEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const text = JSON.stringify(event);
    const size = Buffer.byteLength(text) + 1; // and the comma before it, or the bracket
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
 * A message id that says which events are in it. The broker drops a message whose id it has just seen, and may do so only
 * if it has each event of it: so equal ids need equal sets of events. The same events in other groups have other ids; they
 * arrive twice, and the consumers, which know each event by its source and id, count them once.
 */
function batchId(events: readonly CloudEvent[]): string {
  const identities = events.map(({ source, id }) => JSON.stringify([source, id])).sort();
  return hash('sha256', identities.join('\n'), 'base64url');
}
