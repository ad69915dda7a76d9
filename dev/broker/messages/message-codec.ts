import { randomUUID } from 'node:crypto';
import rhea from 'rhea';
import type { Typed } from 'rhea';
import { badRequest } from '../broker-error.ts';
import { listItem, listSections, SECTION, type Section } from './message-sections.ts';
import { listSection, mapSection, readValue, writeValue } from '../rhea-gaps.ts';
import type { EncodedPairs, IncomingMessage, MessageState, StoredMessage } from './stored-message.ts';

const SEQUENCE_NUMBER = 'x-opt-sequence-number';
const ENQUEUED_TIME = 'x-opt-enqueued-time';
const LOCKED_UNTIL = 'x-opt-locked-until';
const MESSAGE_STATE = 'x-opt-message-state';
const SCHEDULED_ENQUEUE_TIME = 'x-opt-scheduled-enqueue-time';

// Annotations that the broker sets. A client's own values (for example in a forwarded message) are dropped.
const BROKER_ANNOTATIONS: ReadonlySet<string> = new Set([
  SEQUENCE_NUMBER,
  ENQUEUED_TIME,
  LOCKED_UNTIL,
  MESSAGE_STATE,
]);

const STATE_NUMBERS: Readonly<Record<MessageState, number>> = { active: 0, deferred: 1, scheduled: 2 };

const HEADER_TTL = 2; // index in the header's list
const PROPERTIES_MESSAGE_ID = 0; // index in the properties' list

function itemValue(bytes: Buffer, section: Section | undefined, index: number): unknown {
  const offset = section === undefined ? null : listItem(bytes, section.value, index);
  return offset === null ? null : rhea.types.unwrap(readValue(bytes.subarray(offset)));
}

function textOf(typed: Typed | undefined): string {
  return String(typed?.value);
}

function readAnnotations(bytes: Buffer): { pairs: EncodedPairs | null; scheduledFor: number | null } {
  const items = readValue(bytes).value as Typed[];
  const kept: Buffer[] = [];
  let scheduledFor: number | null = null;
  for (let index = 0; index + 1 < items.length; index += 2) {
    const [key, value] = [items[index], items[index + 1]];
    if (key === undefined || value === undefined || BROKER_ANNOTATIONS.has(textOf(key))) continue;
    const plain: unknown = rhea.types.unwrap(value);
    if (textOf(key) === SCHEDULED_ENQUEUE_TIME && plain instanceof Date) scheduledFor = plain.getTime();
    kept.push(writeValue(key), writeValue(value));
  }
  return {
    pairs: kept.length === 0 ? null : { count: kept.length, bytes: Buffer.concat(kept) },
    scheduledFor,
  };
}

/** The bare message with an id added. The SDK cannot renew the lock of a message without an id. */
function withMessageId(
  bytes: Buffer,
  properties: Section | undefined,
  rest: Buffer,
  messageId: string,
): Buffer {
  const items =
    properties === undefined ? [] : [...(readValue(bytes.subarray(properties.value)).value as Typed[])];
  items[PROPERTIES_MESSAGE_ID] = rhea.types.wrap_string(messageId);
  return Buffer.concat([listSection(SECTION.properties, items), rest]);
}

/** The id as text. AMQP allows text, numbers, uuids and bytes; null for anything else. */
function readMessageId(value: unknown): string | null {
  if (Buffer.isBuffer(value)) return value.toString('hex');
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}

/** Parses an encoded message. Throws a BrokerError or a RangeError when it is malformed. */
export function parseMessage(bytes: Buffer): IncomingMessage {
  const sections = listSections(bytes);
  const byCode = (code: number): Section | undefined => sections.find((section) => section.code === code);
  const annotations = byCode(SECTION.messageAnnotations);
  const { pairs, scheduledFor } =
    annotations === undefined
      ? { pairs: null, scheduledFor: null }
      : readAnnotations(bytes.subarray(annotations.value));
  const ttl = itemValue(bytes, byCode(SECTION.header), HEADER_TTL);
  const properties = byCode(SECTION.properties);
  const sentId = readMessageId(itemValue(bytes, properties, PROPERTIES_MESSAGE_ID));
  const messageId = sentId ?? randomUUID();
  const bare = sections.find((section) => section.code >= SECTION.properties);
  if (bare === undefined) throw badRequest('The message has no body.');
  // A copy, so that a small message does not keep the whole network buffer in memory.
  const content =
    sentId === null
      ? withMessageId(bytes, properties, bytes.subarray(properties?.end ?? bare.start), messageId)
      : Buffer.from(bytes.subarray(bare.start));
  return {
    messageId,
    content,
    annotations: pairs,
    scheduledFor,
    ttlMs: typeof ttl === 'number' ? ttl : null,
  };
}

/** Parses every message of a batch. Throws as `parseMessage` does. */
export function parseBatch(bytes: Buffer): IncomingMessage[] {
  const parts = listSections(bytes).filter((section) => section.code === SECTION.data);
  return parts.map((part) => {
    const data: unknown = readValue(bytes.subarray(part.value, part.end)).value;
    if (!Buffer.isBuffer(data)) throw badRequest('A part of the batch is not an encoded message.');
    return parseMessage(data);
  });
}

/** The same bare message with application properties added or replaced. All other bytes stay. */
export function withApplicationProperties(
  content: Buffer,
  changes: Readonly<Record<string, unknown>>,
): Buffer {
  const sections = listSections(content);
  const old = sections.find((section) => section.code === SECTION.applicationProperties);
  const oldItems = old === undefined ? [] : (readValue(content.subarray(old.value)).value as Typed[]);
  const items: Typed[] = [];
  for (let index = 0; index + 1 < oldItems.length; index += 2) {
    const [key, value] = [oldItems[index], oldItems[index + 1]];
    if (key !== undefined && value !== undefined && !(textOf(key) in changes)) items.push(key, value);
  }
  for (const [name, value] of Object.entries(changes))
    items.push(rhea.types.wrap_string(name), rhea.types.wrap(value));
  const properties = sections.find((section) => section.code === SECTION.properties);
  const before = content.subarray(0, old?.start ?? properties?.end ?? 0);
  const after = content.subarray(old?.end ?? properties?.end ?? 0);
  return Buffer.concat([before, mapSection(SECTION.applicationProperties, items), after]);
}

const NULL = 0x40;
const UINT = 0x70;

/** A header of five fields: durable, priority, ttl, first acquirer, delivery count. All are null except ttl and delivery count. */
function encodeHeader(message: StoredMessage): Buffer {
  const header = Buffer.alloc(message.ttlMs === null ? 15 : 19, NULL);
  header.set([0, 0x53, SECTION.header, 0xc0, header.length - 5, 5]);
  if (message.ttlMs !== null) {
    header[8] = UINT;
    header.writeUInt32BE(Math.min(message.ttlMs, 0xffff_ffff), 9);
  }
  header[header.length - 5] = UINT;
  header.writeUInt32BE(message.deliveryCount, header.length - 4);
  return header;
}

function encodePair(name: string, code: 0x71 | 0x81 | 0x83, value: number): Buffer {
  const width = code === 0x71 ? 4 : 8;
  const pair = Buffer.allocUnsafe(2 + name.length + 1 + width);
  pair[0] = 0xa3; // short symbol
  pair[1] = name.length;
  pair.write(name, 2, 'latin1');
  pair[2 + name.length] = code;
  if (width === 4) pair.writeInt32BE(value, 3 + name.length);
  else pair.writeBigInt64BE(BigInt(value), 3 + name.length);
  return pair;
}

/** The message for a receiver: the broker's header and annotations, then the sender's bytes. */
export function encodeForReceiver(message: StoredMessage): Buffer {
  const pairs = [
    encodePair(SEQUENCE_NUMBER, 0x81, message.sequence),
    encodePair(ENQUEUED_TIME, 0x83, message.enqueuedAt),
    encodePair(MESSAGE_STATE, 0x71, STATE_NUMBERS[message.state]),
  ];
  if (message.lock !== null) pairs.push(encodePair(LOCKED_UNTIL, 0x83, message.lock.until));
  let count = 2 * pairs.length;
  if (message.annotations !== null) {
    pairs.push(message.annotations.bytes);
    count += message.annotations.count;
  }
  const frame = Buffer.from([0, 0x53, 0x72, 0xd1, 0, 0, 0, 0, 0, 0, 0, 0]);
  let bytes = 0;
  for (const pair of pairs) bytes += pair.length;
  frame.writeUInt32BE(4 + bytes, 4);
  frame.writeUInt32BE(count, 8);
  return Buffer.concat([encodeHeader(message), frame, ...pairs, message.content]);
}
