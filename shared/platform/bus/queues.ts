/** What one Service Bus queue promises its users. The deployment and the development broker are both made from this. */
export interface QueueDefinition {
  /** The queue's name in the namespace; Service Bus compares names without regard to case. */
  readonly name: string;
  /** A message that has failed this many deliveries goes to the dead-letter subqueue. */
  readonly maxDeliveryCount: number;
  /** How long a received message is hidden from others before it counts as failed. */
  readonly lockDurationMs: number;
  /** A message id seen within this window is accepted and dropped; null for no duplicate detection. */
  readonly duplicateDetectionWindowMs: number | null;
  /** How long a message lives that sets no time to live of its own; null for ever. */
  readonly defaultTtlMs: number | null;
}

// Service Bus allows no longer lock, and a batch's locks are not renewed: a batch must be done within it.
const LOCK_DURATION_MS = 5 * 60_000;

// A consumer waits for a database that is away before it fails, so that ten failures outlast a failover; yet a message that no code can
// handle does not circle for ever.
const MAX_DELIVERY_COUNT = 10;

// Longer than the outbox relay takes to publish again what it could not mark as published; beyond it consumers are idempotent by event id.
const DUPLICATE_DETECTION_WINDOW_MS = 10 * 60_000;

// Evidence and usage may wait out any backlog, but never vanish by age.
const DEFAULT_TTL_MS = null;

function defineQueue(name: string): QueueDefinition {
  return {
    name,
    maxDeliveryCount: MAX_DELIVERY_COUNT,
    lockDurationMs: LOCK_DURATION_MS,
    duplicateDetectionWindowMs: DUPLICATE_DETECTION_WINDOW_MS,
    defaultTtlMs: DEFAULT_TTL_MS,
  };
}

/** Every queue of the backend, whole: a queue that is not here does not exist in the development stack. */
export const QUEUES: readonly QueueDefinition[] = [
  defineQueue('usage-events'),
  defineQueue('audit-events'),
  defineQueue('archive-records'),
  defineQueue('stripe-events'),
];
