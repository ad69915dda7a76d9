import type { Call, CallServices, OutboxEntry } from '../call/call.ts';
import type { TenantDatabase, TenantTransaction } from '../db/tenant-database.ts';
import type { HotWrite } from './hot-write.ts';
import { findAnswers, findAnswersWithin, type StoredAnswer } from './idempotency.ts';
import { withPartition } from './with-partition.ts';
import { WriteCoalescer, type CoalescedRow, type RowOutcome } from './write-coalescer.ts';

/** Where rows are written, and what is done with the events of a row that was. */
export interface ItemStore {
  /** Writes rows in one statement: all or none. */
  write(rows: readonly CoalescedRow[]): Promise<ReadonlyMap<string, RowOutcome>>;
  findAnswers(keys: readonly string[]): Promise<ReadonlyMap<string, StoredAnswer>>;
  onWritten(entry: OutboxEntry): void;
}

/** Each statement is its own transaction, shared with the tenant's other requests of the moment. */
export function coalesced(call: Call, write: HotWrite): ItemStore {
  const tenant = call.databases[write.database];
  return {
    write: (rows) => withPartition(call, write, () => coalescerOf(call.services, tenant, write).add(rows)),
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
      async (rows) =>
        outcomesById(
          await tenant.statement<WrittenRow>(write.text, parametersOf(write, rows), { short: true }),
        ),
      () => busy.delete(name),
    );
    busy.set(name, coalescer);
  }
  return coalescer;
}

/** Part of a batch's transaction: what the database refuses is undone alone, and the transaction goes on. */
export function within(
  transaction: TenantTransaction,
  call: Call,
  write: HotWrite,
  onWritten: (entry: OutboxEntry) => void,
): ItemStore {
  // The tenant is set for the whole transaction; in a tenant's single statement, `scope` sets it.
  const text = `with scope as materialized (select $1::text as tenant_id) ${write.text}`;
  return {
    write: (rows) =>
      transaction.savepoint(async (inner) =>
        outcomesById(
          await inner.query<WrittenRow>(text, [transaction.tenantId, ...parametersOf(write, rows)]),
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
