/** Where in its life a message is. A locked message keeps its state; a lock is something on top. */
export type MessageState = 'active' | 'deferred' | 'scheduled';

/** A message as a client sent it, taken apart only as far as the broker needs to. */
export interface IncomingMessage {
  readonly messageId: string;
  /** The encoded sections from `properties` on: never decoded, so that every type stays what the sender made it. */
  readonly content: Buffer;
  /** The sender's message annotations as encoded key-value pairs, without the names that the broker itself sets. */
  readonly annotations: EncodedPairs | null;
  readonly ttlMs: number | null;
  /** Epoch milliseconds. */
  readonly scheduledFor: number | null;
}

/** Keys and values of an AMQP map, one after another, without the map's frame. `count` counts both. */
export interface EncodedPairs {
  readonly count: number;
  readonly bytes: Buffer;
}

/** A message in the broker. Only `Queue` changes one, and journals what it changed. Times are epoch milliseconds. */
export interface StoredMessage {
  readonly sequence: number;
  readonly messageId: string;
  content: Buffer;
  readonly annotations: EncodedPairs | null;
  readonly enqueuedAt: number;
  readonly ttlMs: number | null;
  expiresAt: number | null;
  readonly scheduledFor: number | null;
  /** Deliveries that failed. */
  deliveryCount: number;
  state: MessageState;
  lock: MessageLock | null;
}

/** One receiver's hold on a message until `until` (epoch milliseconds). */
export interface MessageLock {
  /** A GUID in its usual text form. */
  readonly token: string;
  readonly message: StoredMessage;
  until: number;
}
