/** The kinds of writes. Each has its own table and effects. */
export type WriteKind = 'mapping' | 'pending_mapping' | 'orchestration' | 'analysis' | 'completion';

/** One intended effect of a client, with one or several attempts. */
export interface Write {
  /** In the row's `metadata.ledger`. For a completion it is the id of the completed request. */
  readonly marker: string;
  readonly tenantId: string;
  readonly kind: WriteKind;
  readonly idempotencyKey: string | null;
  /** Whether the client retries without a 2xx: with the same key, or with a PUT. */
  readonly repeatable: boolean;
  /** From the 2xx; undefined before it. */
  requestId?: string;
  recordId?: string;
}

/** The result of one attempt. Times are the client's `performance.now()`. */
export interface Attempt {
  readonly writes: readonly Write[];
  readonly what: string;
  readonly sentAt: number;
  readonly tookMs: number;
  /** Null without an answer. */
  readonly status: number | null;
  readonly retryAfter: string | null;
  readonly replayed: boolean;
  /** Each item's status, for a batch. */
  readonly itemStatuses: readonly number[];
  /** The answer's problem code, or the reason for no answer. */
  readonly code: string | null;
}

/** A message that another service's producer sent, with retries until the broker acknowledged it. */
export interface SentMessage {
  readonly id: string;
  readonly queue: 'usage-events' | 'audit-events';
  readonly tenantId: string;
  /** False if no consumer can process it, so that it must go to quarantine. */
  readonly valid: boolean;
}

/** The client's log of everything that was sent and answered. */
export class Ledger {
  readonly writes: Write[] = [];
  readonly attempts: Attempt[] = [];
  readonly messages: SentMessage[] = [];
  /** Blobs that the storage lost and that were written again, as `tenant container/name`. */
  readonly restoredBlobs: string[] = [];
  /** Records whose source was read, once each, as `tenant record_id`: the audit trail tells it. */
  readonly sourcesRead: string[] = [];

  /** Attempts sent since a moment. */
  since(moment: number): Attempt[] {
    return this.attempts.filter((attempt) => attempt.sentAt >= moment);
  }
}

/** Whether a status means that the write was done, now or before. */
export function isDone(status: number | null): boolean {
  return status !== null && status >= 200 && status < 300;
}

/** The number of answers by status, for a failure's text: `201×310 503×12 none×4`. */
export function summarize(attempts: readonly Attempt[]): string {
  const counts = new Map<string, number>();
  for (const { status, code } of attempts) {
    const name = status === null ? `none(${code ?? ''})` : `${status}${code === null ? '' : ` ${code}`}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${name}×${count}`).join(' ');
}
