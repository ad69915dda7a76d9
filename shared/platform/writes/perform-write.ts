import { PLATFORM_TENANT } from '../auth/principal.ts';
import type { CloudEvent } from '../bus/events.ts';
import type { CrossTenantTransaction, TenantTransaction } from '../db/tenant-database.ts';
import { auditEvent, usageEvent, type AuditNote, type Used } from './caused-events.ts';
import type { Call, DatabaseName, OutboxEntry } from '../call/call.ts';
import { claimKey, keepAnswer } from './idempotency.ts';
import type { Reply } from '../call/reply.ts';
import { addFromTenant, addToOutbox, newEntries } from './outbox.ts';
import { withPartition, type DailyTable } from './with-partition.ts';

/** What a write did: its answer, what the audit trail says of it, and what else it causes. */
export interface Effect<Answer extends Reply> {
  readonly reply: Answer;
  /** What a repeated Idempotency-Key is answered with, where that differs: a secret is shown once and kept nowhere. */
  readonly storedReply?: Answer;
  readonly audit: AuditNote;
  readonly events?: readonly CloudEvent[];
}

/** What is written where, and how it is metered. */
export interface WriteOptions extends Partial<DailyTable> {
  /** The database of what is written; `core` unless said otherwise. Its outbox and its idempotency keys serve the write. */
  readonly database?: DatabaseName;
  /** Usage beyond the API call itself, known before the write. */
  readonly usage?: readonly Used[];
  /** True for what a spent allowance must not stop: revoking a key, placing a hold. It is counted all the same. */
  readonly beyondQuota?: boolean;
}

/**
 * Performs one write in one transaction of one database: idempotency, the effect, its usage and audit events. Publishes
 * after the commit. A free tenant's usage is reserved first. A repeated Idempotency-Key gets the first answer again.
 * @throws Problem 402 when the allowance is spent, 409 while the first request still runs, 422 for another body; whatever
 * `write` throws.
 */
export function performWrite<Answer extends Reply>(
  call: Call,
  write: (transaction: TenantTransaction) => Promise<Effect<Answer>>,
  options: WriteOptions = {},
): Promise<Answer> {
  const database = call.databases[options.database ?? 'core'];
  // An operator who works for a tenant leaves events of the platform; a tenant's own write leaves its own alone.
  const addEntries = call.principal.tenantId === PLATFORM_TENANT ? addFromTenant : addToOutbox;
  return perform(call, { begin: (run) => database.transaction(run), addEntries }, write, options);
}

/**
 * As {@link performWrite}, for an operator's write of what belongs to no tenant or to another one: the cross-tenant role may
 * write the platform's tables, requests' own role may not. Only for routes that need `platform:operate`.
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

/** How one role writes. */
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
  // What an operator does for a tenant is on nobody's allowance.
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

/** The statements of a write's transaction. Without entries nothing happened: the answer is an earlier one. */
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
  const events = [
    ...given.usage.map((used) => usageEvent(call, used, given.reservationId)),
    auditEvent(call, effect.audit),
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
