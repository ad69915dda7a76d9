import type { CloudEvent } from '../bus/events.ts';
import { faultOf } from '../db/errors.ts';
import { recordset, type Columns, type Recordset } from '../db/recordset.ts';
import type { TenantDatabase } from '../db/tenant-database.ts';
import { newId } from '../ids/ids.ts';
import type { Call, IdempotencyClaim } from '../call/call.ts';
import {
  CLAIM_COLUMNS,
  CLAIM_LOCK_SQL,
  CLAIM_SQL,
  findAnswers,
  replay,
  stillRunning,
} from './idempotency.ts';
import { problemOf } from '../call/problem-of.ts';
import { Problem } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';
import type { OutboxEntry } from '../bus/events.ts';
import type { CallServices } from '../call/call.ts';
import { WriteCoalescer, type CoalescedRow, type RowOutcome } from './write-coalescer.ts';
import { withPartition } from './with-partition.ts';
import { auditEvent, usageEvent, type AuditNote, type Used } from './caused-events.ts';

/** How a kind of thing is recorded: the hot write's SQL. */
export interface Recording {
  /** The route whose idempotency keys these are: a batch's items share it with the single route. */
  readonly route: string;
  readonly rows: Recordset<Columns>;
  /** The statement, but for the tenant's scope: `$2` is the route, the rows begin at `$3`. */
  readonly text: string;
}

/** What a kind of thing's own part of a {@link Recording} is. */
export interface RecordingDefinition {
  readonly route: string;
  /** The row's own columns. */
  readonly columns: Columns;
  /**
   * Inserts that continue the WITH clause, each taking its rows from `fresh` and the tenant from `scope`. `recorded_at`
   * is the instant of a row's request.
   */
  readonly inserts: string;
}

const COMMON_COLUMNS = {
  ...CLAIM_COLUMNS,
  request_id: 'uuid',
  recorded_at: 'timestamptz',
  outbox_id: 'uuid',
  outbox_events: 'jsonb',
} as const satisfies Columns;

/** Makes the statement that records a kind of thing. */
export function defineRecording({ route, columns, inserts }: RecordingDefinition): Recording {
  const rows = recordset<Columns>({ ...COMMON_COLUMNS, ...columns });
  const text = `, item as materialized (
         select given.*, ${CLAIM_LOCK_SQL} as free from scope, ${rows.from('given', 3)})
     ${CLAIM_SQL}
     ${inserts}
     , caused as (
         insert into ops.outbox (id, tenant_id, events)
         select fresh.outbox_id, scope.tenant_id, fresh.outbox_events from fresh, scope)
     select request_id, free, request_id in (select request_id from fresh) as fresh from item`;
  return { route, rows, text };
}

/** One thing to record, its answer already known. */
export interface Item {
  readonly requestId: string;
  readonly claim: IdempotencyClaim | null;
  readonly row: Readonly<Record<string, unknown>>;
  readonly reply: Reply;
  readonly audit: AuditNote;
  readonly usage: readonly Used[];
  readonly events: readonly CloudEvent[];
}

/** What became of an item. */
export type ItemOutcome =
  | { readonly outcome: 'created'; readonly reply: Reply }
  | { readonly outcome: 'duplicate'; readonly reply: Reply }
  | { readonly outcome: 'refused'; readonly problem: Problem };

/**
 * Records items in one statement: tenant, idempotency, rows and outbox together, and those of the tenant's other requests
 * that came at the same time (see {@link WriteCoalescer}). None of them spoils another: where the
 * database refuses one, they are recorded one by one. Answers in the order given, after the commit.
 * @throws only what concerns them all: the database is away.
 */
export async function recordItems(
  call: Call,
  recording: Recording,
  items: readonly Item[],
): Promise<ItemOutcome[]> {
  const outcomes = new Map<Item, ItemOutcome>();
  const firstByKey = new Map<string, Item>();
  const distinct = items.filter((item) => {
    if (item.claim === null) return true;
    if (firstByKey.has(item.claim.key)) return false;
    firstByKey.set(item.claim.key, item);
    return true;
  });
  const refused = await call.services.quota.reserve(
    call,
    distinct.map((item) => ({ reservationId: item.requestId, usage: item.usage })),
  );
  const admitted = distinct.filter((item) => !refused.has(item.requestId));
  try {
    for (const [item, outcome] of await recordAdmitted(call, recording, admitted))
      outcomes.set(item, outcome);
  } finally {
    const unused = admitted.filter((item) => outcomes.get(item)?.outcome !== 'created');
    await call.services.quota.release(
      call,
      unused.map((item) => item.requestId),
    );
  }
  const unanswered = distinct.filter((item) => !outcomes.has(item));
  await answerFromStore(call, recording.route, unanswered, refused, outcomes);
  return items.map((item) => outcomes.get(item) ?? repeated(item, firstByKey, outcomes));
}

/** An item whose key an earlier item of the same batch has. */
function repeated(
  item: Item,
  firstByKey: ReadonlyMap<string, Item>,
  outcomes: ReadonlyMap<Item, ItemOutcome>,
): ItemOutcome {
  const first = item.claim === null ? undefined : firstByKey.get(item.claim.key);
  const outcome = first === undefined ? undefined : outcomes.get(first);
  if (first === undefined || outcome === undefined)
    return { outcome: 'refused', problem: new Problem('INTERNAL_ERROR') };
  if (item.claim !== null && first.claim?.fingerprint.equals(item.claim.fingerprint) === true) {
    return outcome.outcome === 'created' ? { outcome: 'duplicate', reply: outcome.reply } : outcome;
  }
  const detail = 'The idempotency key stands twice in this batch, with different contents.';
  return { outcome: 'refused', problem: new Problem('IDEMPOTENCY_MISMATCH', { detail }) };
}

async function recordAdmitted(
  call: Call,
  recording: Recording,
  items: readonly Item[],
): Promise<Map<Item, ItemOutcome>> {
  if (items.length === 0) return new Map();
  try {
    return await withPartition(call, () => recordTogether(call, recording, items));
  } catch (error) {
    const fault = faultOf(error);
    if (fault === 'unavailable' || fault === 'contention') throw error;
    const [only] = items;
    if (items.length === 1 && only !== undefined)
      return new Map([[only, { outcome: 'refused', problem: refusal(error, call) }]]);
    const outcomes = new Map<Item, ItemOutcome>();
    for (const item of items) {
      for (const entry of await recordAdmitted(call, recording, [item])) outcomes.set(...entry);
    }
    return outcomes;
  }
}

function refusal(error: unknown, call: Call): Problem {
  if (faultOf(error) !== 'unique') return problemOf(error, call.route, call.origin.traceId);
  return new Problem('CONFLICT', {
    detail: 'The idempotency key belongs to an older request, whose answer is no longer kept.',
    cause: error,
  });
}

/** What an item publishes once it is committed. */
function entryOf(call: Call, item: Item, metered: boolean): OutboxEntry {
  return {
    id: newId(call.now),
    events: [
      ...item.usage.map((used) => usageEvent(call, used, metered ? item.requestId : undefined)),
      auditEvent(call, item.audit),
      ...item.events,
    ],
  };
}

function rowOf(call: Call, { rows }: Recording, item: Item, entry: OutboxEntry): CoalescedRow {
  const row = rows.encode({
    ...item.row,
    request_id: item.requestId,
    recorded_at: call.now,
    idempotency_key: item.claim?.key ?? null,
    fingerprint: item.claim?.fingerprint ?? null,
    reply_status: item.reply.status,
    reply_headers: { ...item.reply.headers, 'content-type': 'application/json' },
    reply_body: item.claim === null ? null : JSON.stringify(item.reply.body),
    outbox_id: entry.id,
    outbox_events: entry.events,
  });
  const characters = row.reduce((sum, element) => sum + element.length, 0);
  return { requestId: item.requestId, idempotencyKey: item.claim?.key, row, characters };
}

async function recordTogether(
  call: Call,
  recording: Recording,
  items: readonly Item[],
): Promise<Map<Item, ItemOutcome>> {
  const metered = call.services.quota.limits(call);
  const entries = items.map((item) => entryOf(call, item, metered));
  const rows = items.flatMap((item, n) => {
    const entry = entries[n];
    return entry === undefined ? [] : [rowOf(call, recording, item, entry)];
  });
  const written = await coalescerOf(call, recording).add(rows);
  const outcomes = new Map<Item, ItemOutcome>();
  items.forEach((item, n) => {
    const row = written.get(item.requestId);
    const entry = entries[n];
    if (row === undefined || entry === undefined) return;
    if (row.fresh) {
      outcomes.set(item, { outcome: 'created', reply: item.reply });
      call.services.publisher.publish(entry);
    } else if (!row.free) {
      outcomes.set(item, { outcome: 'refused', problem: stillRunning() });
    }
  });
  return outcomes;
}

/** The lanes that are not idle, by tenant and route. */
const lanes = new WeakMap<CallServices, Map<string, WriteCoalescer>>();

function coalescerOf(call: Call, recording: Recording): WriteCoalescer {
  let ofServices = lanes.get(call.services);
  if (ofServices === undefined) {
    ofServices = new Map();
    lanes.set(call.services, ofServices);
  }
  const busy = ofServices;
  const name = `${recording.route} ${call.tenant.tenantId}`;
  let lane = busy.get(name);
  if (lane === undefined) {
    lane = new WriteCoalescer(
      (rows) => writeRows(call.tenant, recording, rows),
      () => busy.delete(name),
    );
    busy.set(name, lane);
  }
  return lane;
}

async function writeRows(
  tenant: TenantDatabase,
  recording: Recording,
  rows: readonly CoalescedRow[],
): Promise<Map<string, RowOutcome>> {
  const written = await tenant.statement<{ request_id: string; free: boolean; fresh: boolean }>(
    recording.text,
    [recording.route, ...recording.rows.bind(rows.map(({ row }) => row))],
  );
  return new Map(written.map(({ request_id: requestId, free, fresh }) => [requestId, { free, fresh }]));
}

/** Items that were not recorded now: either their key was answered before, or the allowance refused them. */
async function answerFromStore(
  call: Call,
  route: string,
  items: readonly Item[],
  refused: ReadonlyMap<string, Problem>,
  outcomes: Map<Item, ItemOutcome>,
): Promise<void> {
  const keys = items.flatMap((item) => (item.claim === null ? [] : [item.claim.key]));
  const answers =
    keys.length === 0 ? new Map<string, never>() : await findAnswers(call.tenant, route, keys, call.now);
  for (const item of items) {
    const stored = item.claim === null ? undefined : answers.get(item.claim.key);
    if (item.claim !== null && stored !== undefined) outcomes.set(item, replayed(stored, item.claim));
    else outcomes.set(item, { outcome: 'refused', problem: refused.get(item.requestId) ?? stillRunning() });
  }
}

function replayed(stored: Parameters<typeof replay>[0], claim: IdempotencyClaim): ItemOutcome {
  try {
    return { outcome: 'duplicate', reply: replay(stored, claim) };
  } catch (error) {
    if (error instanceof Problem) return { outcome: 'refused', problem: error };
    throw error;
  }
}

/** The answer to a single request recorded alone. */
export function singleReply(outcomes: readonly ItemOutcome[]): Reply {
  const [only] = outcomes;
  if (only === undefined) throw new Error('nothing was recorded');
  if (only.outcome === 'refused') throw only.problem;
  return only.reply;
}
