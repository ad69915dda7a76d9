import { PLATFORM_TENANT } from '../auth/principal.ts';
import type { CloudEvent } from '../bus/events.ts';
import type { CrossTenantTransaction, TenantTransaction } from '../db/tenant-database.ts';
import { auditEvent, usageEvent, type AuditNote, type Used } from './caused-events.ts';
import { causeOfEntry, type EventCause } from './event-cause.ts';
import type { Call, DatabaseName, OutboxEntry } from '../call/call.ts';
import { claimKey, keepAnswer } from './idempotency.ts';
import type { Reply } from '../call/reply.ts';
import { addFromTenant, addToOutbox, newEntries } from './outbox.ts';
import { withPartition, type DailyTable } from './with-partition.ts';

/** The result of a write: its answer, its audit entry, and its other events. */
export interface Effect<Answer extends Reply> {
  readonly reply: Answer;
  /** The answer that is kept for a repeated Idempotency-Key, if it differs: a secret is shown once and never kept. */
  readonly storedReply?: Answer;
  readonly audit: AuditNote;
  readonly events?: readonly CloudEvent[];
  /** Given when the write's rows tell what it caused. Otherwise its entry in the audit trail tells it. */
  readonly cause?: EventCause;
}

/** Where a write goes, and how it is metered. */
export interface WriteOptions extends Partial<DailyTable> {
  /** The database of the write. The default is `core`. The write uses its outbox and its idempotency keys. */
  readonly database?: DatabaseName;
  /** Usage besides the API call itself, known before the write. */
  readonly usage?: readonly Used[];
  /** True for a write that a used-up allowance must not stop: to revoke a key, to place a hold. It is still counted. */
  readonly beyondQuota?: boolean;
}

/**
 * Performs one write in one transaction of one database: idempotency, the effect, its usage and audit events. Publishes
 * after the commit. A free tenant's usage is reserved first. A repeated Idempotency-Key gets the first answer again.
 * @throws Problem 402 when the allowance is used up, 409 while the first request still runs, 422 for another body; what
 * `write` throws.
 */
export function performWrite<Answer extends Reply>(
  call: Call,
  write: (transaction: TenantTransaction) => Promise<Effect<Answer>>,
  options: WriteOptions = {},
): Promise<Answer> {
  const database = call.databases[options.database ?? 'core'];
  // An operator's work for a tenant also causes events of the platform. A tenant's own write causes only its own.
  const addEntries = call.principal.tenantId === PLATFORM_TENANT ? addFromTenant : addToOutbox;
  return perform(call, { begin: (run) => database.transaction(run), addEntries }, write, options);
}

/**
 * Like {@link performWrite}, for an operator's write of platform data or of another tenant's data. It uses the cross-tenant
 * role, because the role of requests may not write platform tables. For routes that need `platform:operate`, and for a tenant's own row in
 * such a table.
 */
export function performPlatformWrite<Answer extends Reply>(
  call: Call,
  write: (transaction: CrossTenantTransaction) => Promise<Effect<Answer>>,
  options: WriteOptions = {},
): Promise<Answer> {
  const database = call.services.crossTenant[options.database ?? 'core'];
  return perform(
    call,
    { begin: (run) => database.transaction(run), addEntries: addToOutbox },
    write,
    options,
  );
}

type Queries = Pick<TenantTransaction, 'query'>;

/** How one database role writes. */
interface Writer<T> {
  readonly begin: <R>(run: (transaction: T) => Promise<R>) => Promise<R>;
  readonly addEntries: (transaction: T, entries: readonly OutboxEntry[]) => Promise<void>;
}

async function perform<T extends Queries, Answer extends Reply>(
  call: Call,
  writer: Writer<T>,
  write: (transaction: T) => Promise<Effect<Answer>>,
  options: WriteOptions,
): Promise<Answer> {
  const usage: readonly Used[] = [{ usage_type: 'api_calls', usage_amount: 1 }, ...(options.usage ?? [])];
  // An operator's work for a tenant counts against no allowance.
  const isFree = options.beyondQuota === true || call.tenant.tenantId !== call.principal.tenantId;
  const { begin } = writer;
  const admission = isFree ? { reservationId: undefined } : await call.services.quota.reserveOne(call, usage);
  if ('problem' in admission) {
    const earlier = await begin((transaction) => claim<Answer>(call, transaction));
    if (earlier === undefined) throw admission.problem;
    return earlier;
  }
  const { reservationId } = admission;
  let entries: readonly OutboxEntry[] = [];
  try {
    const done = await withPartition(call, options, () =>
      begin((transaction) =>
        commitEffect(call, transaction, writer, write, { ...options, usage, reservationId }),
      ),
    );
    entries = done.entries;
    return done.reply;
  } finally {
    for (const entry of entries) call.services.publisher.publish(entry);
    if (entries.length === 0 && reservationId !== undefined)
      await call.services.quota.release(call, [reservationId]);
  }
}

/** The statements of a write's transaction. No entries means that nothing happened and the answer is an earlier one. */
async function commitEffect<T extends Queries, Answer extends Reply>(
  call: Call,
  transaction: T,
  { addEntries }: Writer<T>,
  write: (transaction: T) => Promise<Effect<Answer>>,
  given: WriteOptions & { readonly usage: readonly Used[]; readonly reservationId: string | undefined },
): Promise<{ readonly reply: Answer; readonly entries: readonly OutboxEntry[] }> {
  const earlier = await claim<Answer>(call, transaction);
  if (earlier !== undefined) return { reply: earlier, entries: [] };
  const effect = await write(transaction);
  const audit = auditEvent(call, effect.audit, effect.cause);
  const cause = effect.cause ?? causeOfEntry(audit);
  const events = [
    ...given.usage.map((used) => usageEvent(call, used, cause, given.reservationId)),
    audit,
    ...(effect.events ?? []),
  ];
  const entries = newEntries(given.database ?? 'core', call.tenant.tenantId, events, call.now);
  const { idempotency } = call;
  await Promise.all([
    ...(idempotency === null
      ? []
      : [keepAnswer(transaction, call, idempotency, effect.storedReply ?? effect.reply)]),
    addEntries(transaction, entries),
  ]);
  return { reply: effect.reply, entries };
}

async function claim<Answer extends Reply>(call: Call, transaction: Queries): Promise<Answer | undefined> {
  return call.idempotency === null ? undefined : claimKey(transaction, call, call.idempotency);
}
