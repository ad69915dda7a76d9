/** The settings of one Service Bus queue. The deployment and the development broker are both made from this. */
export interface QueueDefinition {
  /** The queue's name in the namespace. Service Bus ignores case in names. */
  readonly name: string;
  /** After this many failed deliveries, a message goes to the dead-letter subqueue. */
  readonly maxDeliveryCount: number;
  /** How long a received message is hidden from other receivers before its delivery counts as failed. */
  readonly lockDurationMs: number;
  /** A message is accepted and dropped when its id was seen within this time. Null: no duplicate detection. */
  readonly duplicateDetectionWindowMs: number | null;
  /** How long a message lives if it sets no time to live. Null: without a limit. */
  readonly defaultTtlMs: number | null;
}

// The longest lock that Service Bus allows. Locks are not renewed, so a batch must end within it.
const LOCK_DURATION_MS = 5 * 60_000;

// A consumer waits before it fails, so ten failures last longer than a database failover. The limit exists because a message
// that no code can handle must not return again and again.
const MAX_DELIVERY_COUNT = 10;

// Longer than the outbox relay needs to publish again what it could not mark as published. After that, consumers are
// idempotent by event id.
const DUPLICATE_DETECTION_WINDOW_MS = 10 * 60_000;

// Evidence and usage may wait as long as needed, but must never be lost by age.
const DEFAULT_TTL_MS = null;

/** Longer than any token in a notification is valid. */
const NOTIFICATIONS_TTL_MS = 7 * 24 * 60 * 60_000;

function defineQueue(name: string, differing: Partial<QueueDefinition> = {}): QueueDefinition {
  return {
    name,
    maxDeliveryCount: MAX_DELIVERY_COUNT,
    lockDurationMs: LOCK_DURATION_MS,
    duplicateDetectionWindowMs: DUPLICATE_DETECTION_WINDOW_MS,
    defaultTtlMs: DEFAULT_TTL_MS,
    ...differing,
  };
}

/** All queues of the backend. The development stack has only these queues. */
export const QUEUES: readonly QueueDefinition[] = [
  defineQueue('usage-events'),
  defineQueue('audit-events'),
  defineQueue('archive-records'),
  defineQueue('stripe-events'),
  defineQueue('billing-changes'),
  // Another service consumes it: it sends mails.
  defineQueue('notifications', { defaultTtlMs: NOTIFICATIONS_TTL_MS }),
  defineQueue('webhook-deliveries'),
];
