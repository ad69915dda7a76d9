import type { CloudEvent } from '../bus/events.ts';
import type { Call, IdempotencyClaim, OutboxEntry } from '../call/call.ts';
import { problemOf } from '../call/problem-of.ts';
import { Problem } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';
import { faultOf } from '../db/errors.ts';
import type { TenantTransaction } from '../db/tenant-database.ts';
import { auditEvent, usageEvent } from './caused-events.ts';
import { CREATED } from './event-cause.ts';
import {
  coalesced,
  within,
  type HotWrite,
  type Item,
  type ItemOutcome,
  type ItemStore,
} from './hot-write.ts';
import {
  claimColumns,
  claimKey,
  keepAnswer,
  replay,
  StillRunning,
  type StoredAnswer,
} from './idempotency.ts';
import { addToOutbox, newEntries, newEntry } from './outbox.ts';
import { withPartition } from './with-partition.ts';
import type { CoalescedRow } from './write-coalescer.ts';

/**
 * Writes items in one statement: tenant, idempotency, rows and outbox. Items of the tenant's other requests that arrive at
 * the same time share it (see {@link WriteCoalescer}). When the database refuses one item, the items are written one by one,
 * so that the others succeed. Returns the outcomes in the order given, after the commit.
 * @throws only what concerns all items: the database is unavailable.
 */
export async function writeItems<Answer extends Reply>(
  call: Call,
  write: HotWrite,
  items: readonly Item<Answer>[],
): Promise<ItemOutcome<Answer>[]> {
  const admission = await admit(call, write, items);
  const outcomes = new Map<Item<Answer>, ItemOutcome<Answer>>();
  const writing = { ...admission, store: coalesced(call, write), outcomes };
  try {
    await writeAdmitted(writing);
  } finally {
    await releaseUnused(admission, outcomes);
  }
  return inOrder(writing);
}

/** The answer of a whole batch, made from its items' outcomes. */
export interface BatchAnswer<Answer extends Reply> {
  readonly reply: Answer;
  /** Events of the batch besides those of its items. */
  readonly events: readonly CloudEvent[];
}

/**
 * Writes a batch once for its Idempotency-Key (`claim`, on the call's route). The key, the items, the answer and all events
 * are one transaction. So a process that dies leaves all of it or nothing, and a retry finds the whole answer or makes the
 * whole batch. `answerOf` throws when the outcomes must not be kept; then nothing is written. If the transaction does not
 * commit, the quota reserved for its items is released here, or by a timer if the process died.
 *
 * Its rows do not share a statement with other requests, because they are already many. Its transaction holds one
 * connection.
 * @throws Problem 409 while a batch with the key runs, 422 if the key was used with another batch; what concerns all items;
 * what `answerOf` throws.
 */
export async function writeBatchOnce<Answer extends Reply>(
  call: Call,
  write: HotWrite,
  claim: IdempotencyClaim,
  items: readonly Item[],
  answerOf: (outcomes: readonly ItemOutcome[]) => BatchAnswer<Answer>,
): Promise<Answer> {
  const admission = await admit(call, write, items);
  let committed: Batch = { outcomes: new Map(), entries: [] };
  try {
    const { reply, ...batch } = await withPartition(call, write, () =>
      call.databases[write.database].transaction((transaction) =>
        batchTransaction(transaction, claim, admission, answerOf),
      ),
    );
    committed = batch;
    return reply;
  } finally {
    for (const entry of committed.entries) call.services.publisher.publish(entry);
    await releaseUnused(admission, committed.outcomes);
  }
}

interface Batch {
  readonly outcomes: ReadonlyMap<Item, ItemOutcome>;
  readonly entries: readonly OutboxEntry[];
}

async function batchTransaction<Answer extends Reply>(
  transaction: TenantTransaction,
  claim: IdempotencyClaim,
  admission: Admission<Reply>,
  answerOf: (outcomes: readonly ItemOutcome[]) => BatchAnswer<Answer>,
): Promise<Batch & { readonly reply: Answer }> {
  const { call, write } = admission;
  const outcomes = new Map<Item, ItemOutcome>();
  const earlier = await claimKey<Answer>(transaction, call, claim);
  if (earlier !== undefined) return { reply: earlier, outcomes, entries: [] };
  const entries: OutboxEntry[] = [];
  const store = within(transaction, call, write, (entry) => entries.push(entry));
  const writing = { ...admission, store, outcomes };
  await writeAdmitted(writing);
  const { reply, events } = answerOf(inOrder(writing));
  const own = newEntries(write.database, call.tenant.tenantId, events, call.now);
  await Promise.all([addToOutbox(transaction, own), keepAnswer(transaction, call, claim, reply)]);
  return { reply, outcomes, entries: [...entries, ...own] };
}

/** The items to write, and which of them may be written. */
interface Admission<Answer extends Reply> {
  readonly call: Call;
  readonly write: HotWrite;
  readonly items: readonly Item<Answer>[];
  /** The items without those whose key an earlier item has. */
  readonly distinct: readonly Item<Answer>[];
  readonly firstByKey: ReadonlyMap<string, Item<Answer>>;
  /** The problems of items that the free quota does not cover, by request id. */
  readonly refused: ReadonlyMap<string, Problem>;
}

/** The items that are being written, and their outcomes so far. */
interface Writing<Answer extends Reply> extends Admission<Answer> {
  readonly store: ItemStore;
  readonly outcomes: Map<Item<Answer>, ItemOutcome<Answer>>;
}

async function admit<Answer extends Reply>(
  call: Call,
  write: HotWrite,
  items: readonly Item<Answer>[],
): Promise<Admission<Answer>> {
  const firstByKey = new Map<string, Item<Answer>>();
  const distinct = items.filter((item) => {
    if (item.claim === null) return true;
    if (firstByKey.has(item.claim.key)) return false;
    firstByKey.set(item.claim.key, item);
    return true;
  });
  const wanted = distinct.map((item) => ({ reservationId: item.requestId, usage: item.usage }));
  const refused = await call.services.quota.reserve(call, wanted);
  return { call, write, items, distinct, firstByKey, refused };
}

/** Releases the quota reserved for items that were not made. */
async function releaseUnused(
  { call, distinct, refused }: Admission<Reply>,
  outcomes: ReadonlyMap<Item, ItemOutcome>,
): Promise<void> {
  const unused = distinct.filter(
    (item) => !refused.has(item.requestId) && outcomes.get(item)?.outcome !== 'created',
  );
  await call.services.quota.release(
    call,
    unused.map((item) => item.requestId),
  );
}

function inOrder<Answer extends Reply>(writing: Writing<Answer>): ItemOutcome<Answer>[] {
  return writing.items.map((item) => writing.outcomes.get(item) ?? repeated(writing, item));
}

/** The outcome of an item whose key an earlier item of the same batch has. */
function repeated<Answer extends Reply>(
  { firstByKey, outcomes }: Writing<Answer>,
  item: Item<Answer>,
): ItemOutcome<Answer> {
  const first = item.claim === null ? undefined : firstByKey.get(item.claim.key);
  const outcome = first === undefined ? undefined : outcomes.get(first);
  if (first === undefined || outcome === undefined)
    return { outcome: 'refused', problem: new Problem('INTERNAL_ERROR') };
  if (item.claim !== null && first.claim?.fingerprint.equals(item.claim.fingerprint) === true) {
    return outcome.outcome === 'created' ? { outcome: 'duplicate', reply: outcome.reply } : outcome;
  }
  const detail = 'The idempotency key occurs twice in this batch, with different contents.';
  return { outcome: 'refused', problem: new Problem('IDEMPOTENCY_MISMATCH', { detail }) };
}

/** Writes the admitted items, and finds the answers of the items whose keys were used before. */
async function writeAdmitted<Answer extends Reply>(writing: Writing<Answer>): Promise<void> {
  const { distinct, refused, outcomes } = writing;
  const admitted = distinct.filter((item) => !refused.has(item.requestId));
  if (admitted.length > 0) await writeSeparable(writing, admitted);
  await answerFromStore(
    writing,
    distinct.filter((item) => !outcomes.has(item)),
  );
}

async function writeSeparable<Answer extends Reply>(
  writing: Writing<Answer>,
  items: readonly Item<Answer>[],
): Promise<void> {
  try {
    await writeTogether(writing, items);
  } catch (error) {
    const fault = faultOf(error);
    if (fault === 'unavailable' || fault === 'contention' || fault === 'no_partition') throw error;
    const [only] = items;
    if (items.length === 1 && only !== undefined)
      writing.outcomes.set(only, { outcome: 'refused', problem: refusal(error, writing.call) });
    else for (const item of items) await writeSeparable(writing, [item]);
  }
}

function refusal(error: unknown, call: Call): Problem {
  if (faultOf(error) !== 'unique') return problemOf(error, call.route, call.origin.traceId);
  return new Problem('CONFLICT', {
    detail: 'The idempotency key belongs to an older request. Its answer is no longer kept.',
    cause: error,
  });
}

async function writeTogether<Answer extends Reply>(
  { call, write, store, outcomes }: Writing<Answer>,
  items: readonly Item<Answer>[],
): Promise<void> {
  const metered = call.services.quota.limits(call);
  const caused = items.map((item) => ({ item, entry: entryOf(call, write, item, metered) }));
  const written = await store.write(caused.map(({ item, entry }) => rowOf(call, write, item, entry)));
  for (const { item, entry } of caused) {
    const row = written.get(item.requestId);
    if (row?.fresh === true) {
      outcomes.set(item, { outcome: 'created', reply: item.reply });
      store.onWritten(entry);
    } else if (row?.free === false) {
      outcomes.set(item, { outcome: 'refused', problem: new StillRunning() });
    }
  }
}

/** The events that an item publishes after its commit. */
function entryOf(call: Call, { database }: HotWrite, item: Item, metered: boolean): OutboxEntry {
  const cause = { of: item.requestId, act: CREATED };
  const events = [
    ...item.usage.map((used) => usageEvent(call, used, cause, metered ? item.requestId : undefined)),
    auditEvent(call, item.audit, cause),
    ...item.events,
  ];
  return newEntry(database, call.tenant.tenantId, events, call.now);
}

function rowOf(call: Call, { rows }: HotWrite, item: Item, entry: OutboxEntry): CoalescedRow {
  const row = rows.encode({
    ...item.row,
    ...claimColumns(item.claim, item.reply),
    request_id: item.requestId,
    written_at: call.now,
    outbox_id: entry.id,
    outbox_events: entry.events,
  });
  const characters = row.reduce((sum, element) => sum + element.length, 0);
  return { requestId: item.requestId, idempotencyKey: item.claim?.key, row, characters };
}

/**
 * Finds the outcomes of items that were not written now: either their key was answered before, or the quota refused them.
 */
async function answerFromStore<Answer extends Reply>(
  { store, refused, outcomes }: Writing<Answer>,
  items: readonly Item<Answer>[],
): Promise<void> {
  const keys = items.flatMap((item) => (item.claim === null ? [] : [item.claim.key]));
  const answers = await store.findAnswers<Answer>(keys);
  for (const item of items) {
    const stored = item.claim === null ? undefined : answers.get(item.claim.key);
    if (item.claim !== null && stored !== undefined) outcomes.set(item, replayed(stored, item.claim));
    else
      outcomes.set(item, { outcome: 'refused', problem: refused.get(item.requestId) ?? new StillRunning() });
  }
}

function replayed<Answer extends Reply>(
  stored: StoredAnswer<Answer>,
  claim: IdempotencyClaim,
): ItemOutcome<Answer> {
  try {
    return { outcome: 'duplicate', reply: replay(stored, claim) };
  } catch (error) {
    if (error instanceof Problem) return { outcome: 'refused', problem: error };
    throw error;
  }
}
