/** A message's state. It does not change when the message is locked. */
export type MessageState = 'active' | 'deferred' | 'scheduled';

/** A message as a client sent it. Only the parts that the broker needs are decoded. */
export interface IncomingMessage {
  readonly messageId: string;
  /** The encoded sections from `properties` on. They are never decoded, so all types stay as the sender encoded them. */
  readonly content: Buffer;
  /** The sender's message annotations as encoded key-value pairs, without the names that the broker itself sets. */
  readonly annotations: EncodedPairs | null;
  readonly ttlMs: number | null;
  /** Epoch milliseconds. */
  readonly scheduledFor: number | null;
}

/** The encoded keys and values of an AMQP map, without the map's own header. `count` counts keys and values. */
export interface EncodedPairs {
  readonly count: number;
  readonly bytes: Buffer;
}

/** A message in the broker. Only `Queue` changes it, and journals each change. Times are epoch milliseconds. */
export interface StoredMessage {
  readonly sequence: number;
  readonly messageId: string;
  content: Buffer;
  readonly annotations: EncodedPairs | null;
  readonly enqueuedAt: number;
  readonly ttlMs: number | null;
  expiresAt: number | null;
  readonly scheduledFor: number | null;
  /** Failed deliveries. */
  deliveryCount: number;
  state: MessageState;
  lock: MessageLock | null;
}

/** A message that one receiver has until `until` (epoch milliseconds). */
export interface MessageLock {
  /** A UUID as text. */
  readonly token: string;
  readonly message: StoredMessage;
  until: number;
}
