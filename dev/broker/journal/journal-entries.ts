import type { EncodedPairs, MessageState, StoredMessage } from '../messages/stored-message.ts';

/**
 * One change of the broker's state in the journal. An entry holds the new state, not the difference, and an entry about an
 * unknown message is ignored. So a compaction can mix live state and new entries. `queue` is the queue's number; the entry of
 * kind `queue` says which name has which number.
 */
export type JournalEntry =
  | { readonly kind: 'queue'; readonly queue: number; readonly name: string; readonly nextSequence: number }
  | {
      readonly kind: 'put';
      readonly queue: number;
      readonly dead: boolean;
      readonly locked: boolean;
      readonly message: StoredMessage;
    }
  | {
      readonly kind: 'update';
      readonly queue: number;
      readonly dead: boolean;
      readonly locked: boolean;
      readonly sequence: number;
      readonly state: MessageState;
      readonly deliveryCount: number;
    }
  | { readonly kind: 'remove'; readonly queue: number; readonly dead: boolean; readonly sequence: number }
  | {
      readonly kind: 'renumber';
      readonly queue: number;
      readonly from: number;
      readonly to: number;
      readonly enqueuedAt: number;
      readonly expiresAt: number | null;
    }
  | {
      readonly kind: 'seen';
      readonly queue: number;
      readonly messageId: string;
      readonly at: number;
      readonly sequence: number;
    };

const KINDS = ['queue', 'put', 'update', 'remove', 'renumber', 'seen'] as const;
const STATES: readonly MessageState[] = ['active', 'deferred', 'scheduled'];

// Bits of the flags byte; the two lowest hold the state.
const DEAD = 4;
const LOCKED = 8;

// Numbers are doubles, which are exact for all sequence numbers and times here. NaN means null.
const NUMBER_BYTES = 8;
const HEAD_BYTES = 4; // kind, flags, queue number

function flagsOf(dead: boolean, locked: boolean, state: MessageState): number {
  return STATES.indexOf(state) | (dead ? DEAD : 0) | (locked ? LOCKED : 0);
}

function start(
  kind: JournalEntry['kind'],
  flags: number,
  queue: number,
  numbers: readonly (number | null)[],
  tailBytes: number,
): Buffer {
  const buffer = Buffer.allocUnsafe(HEAD_BYTES + numbers.length * NUMBER_BYTES + tailBytes);
  buffer[0] = KINDS.indexOf(kind);
  buffer[1] = flags;
  buffer.writeUInt16BE(queue, 2);
  let offset = HEAD_BYTES;
  for (const number of numbers) offset = buffer.writeDoubleBE(number ?? NaN, offset);
  return buffer;
}

function encodePut(entry: JournalEntry & { kind: 'put' }): Buffer {
  const { message } = entry;
  const { annotations, content } = message;
  const id = Buffer.from(message.messageId);
  const annotationBytes = annotations?.bytes.length ?? 0;
  const numbers = [
    message.sequence,
    message.deliveryCount,
    message.enqueuedAt,
    message.ttlMs,
    message.expiresAt,
    message.scheduledFor,
    id.length,
    annotations?.count ?? 0,
    annotationBytes,
  ];
  const flags = flagsOf(entry.dead, entry.locked, message.state);
  const buffer = start('put', flags, entry.queue, numbers, id.length + annotationBytes + content.length);
  let offset = HEAD_BYTES + numbers.length * NUMBER_BYTES;
  offset += id.copy(buffer, offset);
  if (annotations !== null) offset += annotations.bytes.copy(buffer, offset);
  content.copy(buffer, offset);
  return buffer;
}

function encodeNamed(
  kind: 'queue' | 'seen',
  queue: number,
  numbers: readonly number[],
  name: string,
): Buffer {
  const text = Buffer.from(name);
  const buffer = start(kind, 0, queue, numbers, text.length);
  text.copy(buffer, buffer.length - text.length);
  return buffer;
}

/** The entry's bytes, without the journal's frame. */
export function encodeEntry(entry: JournalEntry): Buffer {
  switch (entry.kind) {
    case 'queue':
      return encodeNamed('queue', entry.queue, [entry.nextSequence], entry.name);
    case 'put':
      return encodePut(entry);
    case 'update': {
      const flags = flagsOf(entry.dead, entry.locked, entry.state);
      return start('update', flags, entry.queue, [entry.sequence, entry.deliveryCount], 0);
    }
    case 'remove':
      return start('remove', entry.dead ? DEAD : 0, entry.queue, [entry.sequence], 0);
    case 'renumber':
      return start('renumber', 0, entry.queue, [entry.from, entry.to, entry.enqueuedAt, entry.expiresAt], 0);
    case 'seen':
      return encodeNamed('seen', entry.queue, [entry.at, entry.sequence], entry.messageId);
  }
}

class EntryReader {
  readonly #buffer: Buffer;
  #offset = HEAD_BYTES;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  number(): number {
    this.#offset += NUMBER_BYTES;
    return this.#buffer.readDoubleBE(this.#offset - NUMBER_BYTES);
  }

  nullable(): number | null {
    const number = this.number();
    return Number.isNaN(number) ? null : number;
  }

  /** A copy: a part of the file's buffer would keep the whole buffer in memory. */
  bytes(length = this.#buffer.length - this.#offset): Buffer {
    this.#offset += length;
    return Buffer.from(this.#buffer.subarray(this.#offset - length, this.#offset));
  }
}

function decodeMessage(reader: EntryReader, state: MessageState): StoredMessage {
  const numbers = {
    sequence: reader.number(),
    deliveryCount: reader.number(),
    enqueuedAt: reader.number(),
    ttlMs: reader.nullable(),
    expiresAt: reader.nullable(),
    scheduledFor: reader.nullable(),
  };
  const idBytes = reader.number();
  const annotationCount = reader.number();
  const annotationBytes = reader.number();
  const messageId = reader.bytes(idBytes).toString();
  const encoded = reader.bytes(annotationBytes);
  const annotations: EncodedPairs | null =
    annotationCount === 0 ? null : { count: annotationCount, bytes: encoded };
  return { ...numbers, messageId, annotations, content: reader.bytes(), state, lock: null };
}

/** The inverse of `encodeEntry`. Throws a RangeError for bytes that are not an entry. */
export function decodeEntry(buffer: Buffer): JournalEntry {
  const kind = KINDS[buffer.readUInt8(0)];
  const flags = buffer.readUInt8(1);
  const state = STATES[flags & 3];
  const queue = buffer.readUInt16BE(2);
  const dead = (flags & DEAD) !== 0;
  const locked = (flags & LOCKED) !== 0;
  const reader = new EntryReader(buffer);
  if (kind === undefined || state === undefined) throw new RangeError('not a journal entry');
  switch (kind) {
    case 'queue':
      return { kind, queue, nextSequence: reader.number(), name: reader.bytes().toString() };
    case 'put':
      return { kind, queue, dead, locked, message: decodeMessage(reader, state) };
    case 'update':
      return { kind, queue, dead, locked, state, sequence: reader.number(), deliveryCount: reader.number() };
    case 'remove':
      return { kind, queue, dead, sequence: reader.number() };
    case 'renumber':
      return {
        kind,
        queue,
        from: reader.number(),
        to: reader.number(),
        enqueuedAt: reader.number(),
        expiresAt: reader.nullable(),
      };
    case 'seen':
      return {
        kind,
        queue,
        at: reader.number(),
        sequence: reader.number(),
        messageId: reader.bytes().toString(),
      };
  }
}
