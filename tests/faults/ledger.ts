/** What one write is; each has its own table and its own effects. */
export type WriteKind = 'mapping' | 'pending_mapping' | 'orchestration' | 'analysis' | 'completion';

/** One effect that a client wants, in one or several attempts. */
export interface Write {
  /** In the row's `metadata.ledger`; of a completion, the request's id that it completes. */
  readonly marker: string;
  readonly tenantId: string;
  readonly kind: WriteKind;
  readonly idempotencyKey: string | null;
  /** Whether the client repeats what was not answered, or not with a 2xx: with the same key, or since it may (PUT). */
  readonly repeatable: boolean;
  /** What a 2xx said; undefined while there was none. */
  requestId?: string;
  recordId?: string;
}

/** What one attempt came to. Times are `performance.now()` of the client. */
export interface Attempt {
  readonly writes: readonly Write[];
  readonly what: string;
  readonly sentAt: number;
  readonly tookMs: number;
  /** Null: no answer came. */
  readonly status: number | null;
  readonly retryAfter: string | null;
  readonly replayed: boolean;
  /** Of a batch, each item's own status. */
  readonly itemStatuses: readonly number[];
  /** The answer's problem code, or why there was no answer. */
  readonly code: string | null;
}

/** A message that a producer of another service put on a queue, until the broker acknowledged it. */
export interface SentMessage {
  readonly id: string;
  readonly queue: 'usage-events' | 'audit-events';
  readonly tenantId: string;
  /** False: nothing that a consumer can take; it belongs into quarantine. */
  readonly valid: boolean;
}

/** The client's side of everything: what was sent, and what was answered. */
export class Ledger {
  readonly writes: Write[] = [];
  readonly attempts: Attempt[] = [];
  readonly messages: SentMessage[] = [];
  /** Blobs that the storage forgot and that were written again, as `tenant container/name`. */
  readonly restoredBlobs: string[] = [];

  /** Attempts sent since a moment. */
  since(moment: number): Attempt[] {
    return this.attempts.filter((attempt) => attempt.sentAt >= moment);
  }
}

/** Whether an answer says that the write was done, now or before. */
export function isDone(status: number | null): boolean {
  return status !== null && status >= 200 && status < 300;
}

/** How many answers of each status, for a failure's text: `201×310 503×12 none×4`. */
export function summarize(attempts: readonly Attempt[]): string {
  const counts = new Map<string, number>();
  for (const { status, code } of attempts) {
    const name = status === null ? `none(${code ?? ''})` : `${status}${code === null ? '' : ` ${code}`}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${name}×${count}`).join(' ');
}
