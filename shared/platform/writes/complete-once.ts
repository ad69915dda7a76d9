import type { Call } from '../call/call.ts';
import { Problem } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';
import type { TenantTransaction } from '../db/tenant-database.ts';
import type { AuditNote } from './caused-events.ts';
import { COMPLETED } from './event-cause.ts';
import { performWrite, type Effect, type WriteOptions } from './perform-write.ts';

/** A request that is completed once, with its response's fingerprint. */
export interface CompletionRow {
  readonly [column: string]: unknown;
  /** Of the response that completed it; null while there is none. */
  readonly fingerprint: Buffer | null;
}

/** A kind of request that one response completes. */
export interface CompletionKind<Row extends CompletionRow, Answer extends Reply> {
  /** Its name in refusals: `mapping`. */
  readonly one: string;
  /** The table of requests, with the alias `q`: `tenant_id`, `request_id`, `expires_at`. */
  readonly requests: string;
  /** The table of responses, with the alias `p`: `tenant_id`, `request_id`, `fingerprint`. */
  readonly responses: string;
  /** The columns of a {@link CompletionRow} without its fingerprint, by the aliases `q` and `p`. */
  readonly columns: string;
  /** Options for the write of a response, if they differ from the defaults. */
  readonly write?: WriteOptions;
  /** The answer for a completed request: to the first response and to each repetition. */
  readonly answer: (row: Row) => Answer;
}

/** How one response completes a request. */
export interface Completing<Row extends CompletionRow, Prepared> {
  /** Whether this response is the one that completed the request. Then the answer is the same again, and nothing changes. */
  readonly isRepetition: (completed: Row) => boolean;
  /**
   * The audit entry of a repetition, for a route that takes an Idempotency-Key. There, a repetition is a write like any
   * other, kept under its key. Without a note, a repetition writes nothing.
   */
  readonly repetitionNote?: AuditNote;
  /**
   * Fetches data from elsewhere. It runs before the transaction, because a transaction must not wait for another connection.
   */
  readonly prepare: (open: Row) => Promise<Prepared>;
  /**
   * Stores the response in the transaction that holds the request's lock, and returns its events. Afterwards the request
   * must have a row of responses.
   */
  readonly store: (
    transaction: TenantTransaction,
    open: Row,
    prepared: Prepared,
  ) => Promise<Omit<Effect<Reply>, 'reply' | 'storedReply' | 'cause'>>;
}

/** Thrown to leave the transaction, so that nothing is changed and nothing is metered. */
class CompletedBefore extends Error {
  override name = 'CompletedBefore';
}

/**
 * Completes a request once. All equal responses get the same answer, also when they arrive at the same time. One of them is
 * stored. The request's row is the lock: its holder checks again whether the request is completed, and only then stores.
 * @throws Problem 404; 409 when the request was completed with another response; what `prepare` and `store` throw.
 */
export async function completeOnce<Row extends CompletionRow, Prepared, Answer extends Reply>(
  call: Call,
  kind: CompletionKind<Row, Answer>,
  requestId: string,
  completing: Completing<Row, Prepared>,
): Promise<Answer> {
  // The first read takes no lock and no quota: a repetition is answered even when the tenant's allowance is used up.
  const [found] = await call.tenant.statement<Row>(
    `select r.* from scope, lateral (${select(kind, 'scope.tenant_id', 2)} offset 0) r`,
    [requestId, call.now],
  );
  if (found === undefined) throw noSuch(kind);
  const before = answerBefore(kind, completing, found);
  if (before !== undefined && completing.repetitionNote === undefined) return before;
  const prepared = before === undefined ? { value: await completing.prepare(found) } : undefined;
  let meanwhile: Answer | undefined;
  try {
    return await performWrite(
      call,
      async (transaction) => {
        const done = await completeLocked(call, kind, requestId, completing, prepared, transaction);
        if (done.effect !== undefined) return done.effect;
        meanwhile = done.before;
        throw new CompletedBefore();
      },
      kind.write,
    );
  } catch (error) {
    if (error instanceof CompletedBefore && meanwhile !== undefined) return meanwhile;
    throw error;
  }
}

/** The effect of this response; or, when nothing was done, the answer to an earlier one. */
type Completed<Answer extends Reply> =
  | { readonly effect: Effect<Answer>; readonly before?: never }
  | { readonly effect?: never; readonly before: Answer };

async function completeLocked<Row extends CompletionRow, Prepared, Answer extends Reply>(
  call: Call,
  kind: CompletionKind<Row, Answer>,
  requestId: string,
  completing: Completing<Row, Prepared>,
  prepared: { readonly value: Prepared } | undefined,
  transaction: TenantTransaction,
): Promise<Completed<Answer>> {
  const parameters = [transaction.tenantId, requestId, call.now];
  const read = (): Promise<Row[]> => transaction.query<Row>(select(kind, '$1', 2), parameters);
  // Both statements travel together. The second one sees what the lock's last holder committed.
  const [, [locked]] = await Promise.all([
    transaction.query(
      `select from ${kind.requests} q where q.tenant_id = $1 and q.request_id = $2 for update`,
      [transaction.tenantId, requestId],
    ),
    read(),
  ]);
  if (locked === undefined) throw noSuch(kind);
  const before = answerBefore(kind, completing, locked);
  if (before !== undefined) {
    const audit = completing.repetitionNote;
    return audit === undefined ? { before } : { effect: { reply: before, audit } };
  }
  if (prepared === undefined) throw new Error(`a completed ${kind.one} is open again`);
  const effect = await completing.store(transaction, locked, prepared.value);
  const [completed] = await read();
  if (completed === undefined) throw new Error(`a locked ${kind.one} is missing`);
  const cause = { of: requestId, act: COMPLETED };
  return { effect: { ...effect, reply: kind.answer(completed), cause } };
}

/**
 * The select of a request with its response. `tenantId` is SQL. `$first` is the request's id, and the next parameter is now.
 */
function select(
  kind: Pick<CompletionKind<never, Reply>, 'requests' | 'responses' | 'columns'>,
  tenantId: string,
  first: number,
): string {
  return `select ${kind.columns}, p.fingerprint
            from ${kind.requests} q
            left join ${kind.responses} p on p.tenant_id = q.tenant_id and p.request_id = q.request_id
           where q.tenant_id = ${tenantId} and q.request_id = $${first} and q.expires_at > $${first + 1}`;
}

function noSuch({ one }: Pick<CompletionKind<never, Reply>, 'one'>): Problem {
  return new Problem('NOT_FOUND', { detail: `There is no such ${one}.` });
}

/**
 * The answer to an equal response that completed the request earlier; undefined for an open request.
 * @throws Problem 409 when it was completed with another response.
 */
function answerBefore<Row extends CompletionRow, Answer extends Reply>(
  kind: CompletionKind<Row, Answer>,
  { isRepetition }: Pick<Completing<Row, unknown>, 'isRepetition'>,
  row: Row,
): Answer | undefined {
  if (row.fingerprint === null) return undefined;
  if (isRepetition(row)) return kind.answer(row);
  throw new Problem('CONFLICT', { detail: `The ${kind.one} was completed with another response.` });
}

/** The default rule of {@link Completing.isRepetition}: the same canonical JSON. */
export function sameResponse(fingerprint: Buffer): (completed: CompletionRow) => boolean {
  return (completed) => completed.fingerprint?.equals(fingerprint) === true;
}
