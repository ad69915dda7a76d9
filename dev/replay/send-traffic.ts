import { z } from 'zod';
import type { ApiClient } from '../client/api-client.ts';
import { problemCode } from '../client/api-client.ts';
import type { TrafficLine, UnreadableLine } from './traffic.ts';

/** A line that the service did not accept, and why. */
export interface Reject {
  readonly line: number;
  readonly event_id?: string;
  readonly status: number | null;
  readonly code: string;
  readonly reason: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** The number of lines per outcome. */
export interface ReplaySummary {
  readonly created: number;
  readonly duplicate: number;
  readonly invalid: number;
  /** Valid, but not accepted: for example a used-up allowance or a conflict. */
  readonly refused: number;
  readonly lines: number;
}

/** Called with the number of lines that are done since the last call. */
export type OnProgress = (lines: number) => void;

/** Half of the API's maximum: two smaller requests at the same time use a slow connection better than one large request. */
const BATCH_SIZE = 50;
/** Items whose key another request is still working on are sent again, at most this often. */
const CONFLICT_RETRIES = 5;

const outcomes = z.object({
  items: z.array(
    z.looseObject({
      status: z.number(),
      outcome: z.enum(['created', 'duplicate', 'invalid', 'refused']),
      code: z.string().optional(),
      detail: z.string().optional(),
      errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
    }),
  ),
});
type Outcome = z.output<typeof outcomes>['items'][number];

/** Sends lines in batches, `concurrency` batches at a time. Calls `onReject` for each line that was not accepted. */
export async function sendTraffic(
  client: ApiClient,
  lines: AsyncIterable<TrafficLine | UnreadableLine>,
  concurrency: number,
  onReject: (reject: Reject) => void,
  onProgress: OnProgress,
): Promise<ReplaySummary> {
  const counts = { created: 0, duplicate: 0, invalid: 0, refused: 0, lines: 0 };
  const batches = inBatches(lines, (unreadable) => {
    counts.lines += 1;
    counts.invalid += 1;
    onReject({ line: unreadable.line, status: null, code: 'INVALID_REQUEST', reason: unreadable.reason });
    onProgress(1);
  });
  const worker = async (): Promise<void> => {
    for (;;) {
      const next = await batches.next();
      if (next.done === true) return;
      const settled = await sendBatch(client, next.value);
      for (const [line, outcome] of settled) {
        counts.lines += 1;
        counts[outcome.outcome] += 1;
        if (outcome.outcome === 'invalid' || outcome.outcome === 'refused') onReject(rejectOf(line, outcome));
      }
      onProgress(settled.length);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return counts;
}

async function* inBatches(
  lines: AsyncIterable<TrafficLine | UnreadableLine>,
  onUnreadable: (line: UnreadableLine) => void,
): AsyncGenerator<TrafficLine[], undefined> {
  let batch: TrafficLine[] = [];
  for await (const line of lines) {
    if ('reason' in line) {
      onUnreadable(line);
      continue;
    }
    batch.push(line);
    if (batch.length === BATCH_SIZE) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

async function sendBatch(
  client: ApiClient,
  batch: readonly TrafficLine[],
  attempt = 1,
): Promise<[TrafficLine, Outcome][]> {
  const answer = await client.send('POST', '/api/v1/mappings/batch', {
    items: batch.map((line) => line.item),
  });
  if (answer.status === 413 && batch.length > 1) {
    const half = Math.ceil(batch.length / 2);
    return [
      ...(await sendBatch(client, batch.slice(0, half))),
      ...(await sendBatch(client, batch.slice(half))),
    ];
  }
  if (answer.status === 413) {
    return batch.map((line) => [
      line,
      { status: 413, outcome: 'invalid', code: 'PAYLOAD_TOO_LARGE', detail: 'is too large' },
    ]);
  }
  if (answer.status !== 207) {
    throw new Error(`the service answered ${answer.status} ${problemCode(answer.body) ?? ''} to a batch`);
  }
  const { items } = outcomes.parse(answer.body);
  const pairs = batch.map((line, n): [TrafficLine, Outcome] => {
    const outcome = items[n];
    if (outcome === undefined) throw new Error('the answer has fewer outcomes than the batch has items');
    return [line, outcome];
  });
  const running = pairs.filter(([, outcome]) => outcome.status === 409);
  if (running.length === 0 || attempt > CONFLICT_RETRIES) return pairs;
  const again = await sendBatch(
    client,
    running.map(([line]) => line),
    attempt + 1,
  );
  return [...pairs.filter(([, outcome]) => outcome.status !== 409), ...again];
}

function rejectOf(line: TrafficLine, outcome: Outcome): Reject {
  const faults = outcome.errors?.map((fault) => `${fault.pointer} ${fault.detail}`) ?? [];
  return {
    line: line.line,
    ...(line.eventId === undefined ? {} : { event_id: line.eventId }),
    status: outcome.status,
    code: outcome.code ?? 'UNKNOWN',
    reason: faults.length > 0 ? faults.join('; ') : (outcome.detail ?? 'was refused'),
    ...(outcome.errors === undefined ? {} : { errors: outcome.errors }),
  };
}
