import type { CloudEvent } from '../bus/events.ts';
import type { Call, CallServices, DatabaseName, IdempotencyClaim, OutboxEntry } from '../call/call.ts';
import type { Problem } from '../call/problem.ts';
import type { Reply } from '../call/reply.ts';
import { recordset, type Columns, type Recordset } from '../db/recordset.ts';
import type { TenantDatabase, TenantTransaction } from '../db/tenant-database.ts';
import type { AuditNote, Used } from './caused-events.ts';
import {
  CLAIM_COLUMNS,
  CLAIM_LOCK_SQL,
  CLAIM_SQL,
  findAnswers,
  findAnswersWithin,
  type StoredAnswer,
} from './idempotency.ts';
import { inChildSpan } from '../telemetry/tracing.ts';
import { outboxInsert } from './outbox.ts';
import { withPartition, type DailyTable } from './with-partition.ts';
import { WriteCoalescer, type CoalescedRow, type RowOutcome } from './write-coalescer.ts';

/** How one kind of item is written on a hot path: in one statement, with its idempotency keys and its outbox rows. */
export interface HotWrite extends Partial<DailyTable> {
  readonly database: DatabaseName;
  /** The route of these idempotency keys. A batch's items share it with the single route. */
  readonly route: string;
  readonly rows: Recordset<Columns>;
  /** The statement without the tenant's scope: `$2` is the route, the rows begin at `$3`. */
  readonly text: string;
}

/** The parts of a {@link HotWrite} that differ for each kind of item. */
export interface HotWriteDefinition extends Partial<DailyTable> {
  /** The database of the write. The default is `core`. */
  readonly database?: DatabaseName;
  readonly route: string;
  /** The row's own columns. */
  readonly columns: Columns;
  /**
   * Inserts that continue the WITH clause. Each takes its rows from `fresh` and the tenant from `scope`. `written_at` is the
   * time of a row's request.
   */
  readonly inserts: string;
}

const COMMON_COLUMNS = {
  ...CLAIM_COLUMNS,
  request_id: 'uuid',
  written_at: 'timestamptz',
  outbox_id: 'uuid',
  outbox_events: 'jsonb',
} as const satisfies Columns;

/** Makes the statement that writes one kind of item. */
export function defineHotWrite({ columns, inserts, ...definition }: HotWriteDefinition): HotWrite {
  const rows = recordset<Columns>({ ...COMMON_COLUMNS, ...columns });
  const text = `, item as materialized (
         select given.*, ${CLAIM_LOCK_SQL} as free from scope, ${rows.from('given', 3)})
     ${CLAIM_SQL}
     ${inserts}
     , caused as (
         ${outboxInsert('select fresh.outbox_id, scope.tenant_id, fresh.outbox_events from fresh, scope')})
     select request_id, free, request_id in (select request_id from fresh) as fresh from item`;
  return { database: 'core', ...definition, rows, text };
}

/** One item to write. Its answer is already known. */
export interface Item<Answer extends Reply = Reply> {
  readonly requestId: string;
  readonly claim: IdempotencyClaim | null;
  readonly row: Readonly<Record<string, unknown>>;
  readonly reply: Answer;
  readonly audit: AuditNote;
  readonly usage: readonly Used[];
  readonly events: readonly CloudEvent[];
}

/** The outcome of an item. */
export type ItemOutcome<Answer extends Reply = Reply> =
  | { readonly outcome: 'created'; readonly reply: Answer }
  | { readonly outcome: 'duplicate'; readonly reply: Answer }
  | { readonly outcome: 'refused'; readonly problem: Problem };

/** The answer to a single request. */
export function singleReply<Answer extends Reply>(outcomes: readonly ItemOutcome<Answer>[]): Answer {
  const [only] = outcomes;
  if (only === undefined) throw new Error('nothing was written');
  if (only.outcome === 'refused') throw only.problem;
  return only.reply;
}

/** Where rows are written, and where the events of a written row go. */
export interface ItemStore {
  /** Writes rows in one statement: all or none. */
  write(rows: readonly CoalescedRow[]): Promise<ReadonlyMap<string, RowOutcome>>;
  findAnswers<Answer extends Reply>(
    keys: readonly string[],
  ): Promise<ReadonlyMap<string, StoredAnswer<Answer>>>;
  onWritten(entry: OutboxEntry): void;
}

/** Each statement is its own transaction. Requests of the tenant that arrive at the same time share it. */
export function coalesced(call: Call, write: HotWrite): ItemStore {
  const tenant = call.databases[write.database];
  return {
    // Its own span, so that a caller whose rows are in another one's statement shows how long it waited, and for which statement.
    write: (rows) =>
      inChildSpan(`await ${write.route}`, {}, () =>
        withPartition(call, write, () => coalescerOf(call.services, tenant, write).add(rows)),
      ),
    findAnswers: (keys) => findAnswers(tenant, { route: write.route, now: call.now }, keys),
    onWritten: (entry) => call.services.publisher.publish(entry),
  };
}

/** The coalescers that have rows to write, by tenant and route. */
const coalescers = new WeakMap<CallServices, Map<string, WriteCoalescer>>();

function coalescerOf(services: CallServices, tenant: TenantDatabase, write: HotWrite): WriteCoalescer {
  const busy = coalescers.get(services) ?? new Map<string, WriteCoalescer>();
  coalescers.set(services, busy);
  const name = `${write.route} ${tenant.tenantId}`;
  let coalescer = busy.get(name);
  if (coalescer === undefined) {
    coalescer = new WriteCoalescer(
      async (rows, causes) =>
        outcomesById(
          await tenant.statement<WrittenRow>(write.text, parametersOf(write, rows), {
            short: true,
            name: `write ${write.route}`,
            causes,
          }),
        ),
      () => busy.delete(name),
    );
    busy.set(name, coalescer);
  }
  return coalescer;
}

/** Part of a batch's transaction. Refused rows are undone with a savepoint, and the transaction continues. */
export function within(
  transaction: TenantTransaction,
  call: Call,
  write: HotWrite,
  onWritten: (entry: OutboxEntry) => void,
): ItemStore {
  // The transaction sets the tenant. A tenant's single statement would set it in `scope`.
  const text = `with scope as materialized (select $1::text as tenant_id) ${write.text}`;
  return {
    write: (rows) =>
      transaction.savepoint(async (inner) =>
        outcomesById(
          await inner.query<WrittenRow>(text, [transaction.tenantId, ...parametersOf(write, rows)], {
            name: `write ${write.route}`,
          }),
        ),
      ),
    findAnswers: (keys) => findAnswersWithin(transaction, { route: write.route, now: call.now }, keys),
    onWritten,
  };
}

interface WrittenRow {
  readonly [column: string]: unknown;
  readonly request_id: string;
  readonly free: boolean;
  readonly fresh: boolean;
}

function parametersOf(write: HotWrite, rows: readonly CoalescedRow[]): string[] {
  return [write.route, ...write.rows.bind(rows.map(({ row }) => row))];
}

function outcomesById(written: readonly WrittenRow[]): ReadonlyMap<string, RowOutcome> {
  return new Map(written.map(({ request_id: requestId, free, fresh }) => [requestId, { free, fresh }]));
}
