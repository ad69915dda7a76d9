import type { ReceivedMessage } from './received-message.ts';
import { refuse, type Refusal } from './refusal.ts';

/** One event in a message, not checked yet. */
export interface GivenEvent {
  readonly message: ReceivedMessage;
  /** Its index among the events of its message; null if the message is one event. */
  readonly place: number | null;
  readonly value: unknown;
}

/**
 * The most events of one message: twenty times what this service packs. Each invalid one becomes a row of the quarantine.
 */
const EVENTS_MAX = 1_000;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The events of a message. A body that is a JSON array is a batch (CloudEvents 1.0, JSON batch format). The content type is
 * not used, because hosts do not always pass it on, and no event is an array. In binary mode the body is one event's data.
 */
export function eventsIn(message: ReceivedMessage): readonly GivenEvent[] | Refusal {
  let body: unknown;
  try {
    body = JSON.parse(utf8.decode(message.body));
  } catch {
    return refuse('NOT_JSON', '', 'is not JSON in UTF-8');
  }
  const attributes = binaryAttributes(message);
  if (attributes !== undefined) return [{ message, place: null, value: { ...attributes, data: body } }];
  if (!Array.isArray(body)) return [{ message, place: null, value: body }];
  if (body.length > EVENTS_MAX)
    return refuse('TOO_MANY_EVENTS', '', `contains more than ${EVENTS_MAX} events`);
  return body.map((value: unknown, place) => ({ message, place, value }));
}

/**
 * CloudEvents in AMQP's binary mode have the envelope in application properties (`cloudEvents:id`, or `cloudEvents_id` where
 * a colon is not allowed), and only the data in the body.
 */
function binaryAttributes(message: ReceivedMessage): Record<string, unknown> | undefined {
  const attributes = Object.entries(message.properties).flatMap(([name, value]) => {
    const attribute = /^cloudEvents[:_]([a-z0-9]+)$/.exec(name)?.[1];
    return attribute === undefined ? [] : [[attribute, value] as const];
  });
  if (!attributes.some(([name]) => name === 'specversion')) return undefined;
  return Object.fromEntries(attributes);
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * The bytes of each element of a JSON array, unchanged. Written again from the parsed values, large numbers and repeated
 * names would change. The text must be a valid array that is not empty. A byte of a multi-byte UTF-8 character never equals
 * one that structures JSON.
 */
export function elementsOf(array: Buffer): Buffer[] {
  const elements: Buffer[] = [];
  let depth = 0;
  let begin = 0;
  let inText = false;
  for (let at = 0; at < array.length; at += 1) {
    const byte = array[at];
    if (inText) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth === 1) begin = at + 1;
    } else if (byte === COMMA && depth === 1) {
      elements.push(trimmed(array.subarray(begin, at)));
      begin = at + 1;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth -= 1;
      if (depth === 0) elements.push(trimmed(array.subarray(begin, at)));
    }
  }
  return elements;
}

const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);

function trimmed(bytes: Buffer): Buffer {
  let [begin, end] = [0, bytes.length];
  while (SPACES.has(bytes[begin] ?? 0)) begin += 1;
  while (SPACES.has(bytes[end - 1] ?? 0)) end -= 1;
  return bytes.subarray(begin, end);
}
