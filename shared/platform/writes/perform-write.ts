import type { CloudEvent } from '../bus/events.ts';
import type { OutboxEntry } from '../bus/events.ts';
import { json, type CrossTenantTransaction, type TenantTransaction } from '../db/tenant-database.ts';
import { auditEvent, usageEvent, type AuditNote, type Used } from './caused-events.ts';
import type { Call } from '../call/call.ts';
import { IDEMPOTENCY_TTL_MS, replay, stillRunning, type StoredAnswer } from './idempotency.ts';
import type { Reply } from '../call/reply.ts';
import { newId } from '../ids/ids.ts';
import { withPartition } from './with-partition.ts';

/** What a write did: its answer, what the audit trail says of it, and what else it causes. */
export interface Effect {
  readonly reply: Reply;
  /** What a repeated Idempotency-Key is answered with, where that differs: a secret is shown once and kept nowhere. */
  readonly storedReply?: Reply;
  readonly audit: AuditNote;
  readonly events?: readonly CloudEvent[];
}

/** How a write is metered. */
export interface Metering {
  /** Usage beyond the API call itself, known before the write. */
  readonly usage?: readonly Used[];
  /** True for what a spent allowance must not stop: revoking a key, placing a hold. It is counted all the same. */
  readonly beyondQuota?: boolean;
}

/**
 * Performs one write in one transaction: idempotency, the effect, its usage and audit events. Publishes after commit.
 * A free tenant's usage is admitted first. A repeated Idempotency-Key gets the first answer again.
 * @throws Problem 402 when the allowance is spent, 409 while the first request still runs, 422 for another body; whatever
 * `write` throws.
 */
export function performWrite(
  call: Call,
  write: (transaction: TenantTransaction) => Promise<Effect>,
  metering: Metering = {},
): Promise<Reply> {
  return perform(call, (run) => call.tenant.transaction(run), write, metering);
}

/**
 * As {@link performWrite}, for an operator's write of what belongs to no tenant or to another one: the jobs role may
 * write the platform's tables, requests' own role may not. Only for routes that need `platform:operate`.
 */
export function performPlatformWrite(
  call: Call,
  write: (transaction: CrossTenantTransaction) => Promise<Effect>,
  metering: Metering = {},
): Promise<Reply> {
  return perform(call, (run) => call.services.crossTenant.core.transaction(run), write, metering);
}

type Queries = Pick<TenantTransaction, 'query'>;

async function perform<T extends Queries>(
  call: Call,
  begin: <R>(run: (transaction: T) => Promise<R>) => Promise<R>,
  write: (transaction: T) => Promise<Effect>,
  metering: Metering,
): Promise<Reply> {
  const usage: readonly Used[] = [{ usage_type: 'api_calls', usage_amount: 1 }, ...(metering.usage ?? [])];
  const admission =
    metering.beyondQuota === true
      ? { reservationId: undefined }
      : await call.services.quota.reserveOne(call, usage);
  if ('problem' in admission) {
    const earlier = await begin((transaction) => claim(call, transaction));
    if (earlier === undefined) throw admission.problem;
    return replay(earlier.stored, earlier.claim);
  }
  const { reservationId } = admission;
  let entry: OutboxEntry | undefined;
  try {
    const done = await withPartition(call, () => commitEffect(call, begin, usage, reservationId, write));
    entry = done.entry;
    return done.reply;
  } finally {
    if (entry !== undefined) call.services.publisher.publish(entry);
    else if (reservationId !== undefined) await call.services.quota.release(call, [reservationId]);
  }
}

/** The transaction of a write. Without an entry nothing happened: the answer is an earlier one. */
function commitEffect<T extends Queries>(
  call: Call,
  begin: <R>(run: (transaction: T) => Promise<R>) => Promise<R>,
  usage: readonly Used[],
  reservationId: string | undefined,
  write: (transaction: T) => Promise<Effect>,
): Promise<{ reply: Reply; entry?: OutboxEntry }> {
  return begin(async (transaction) => {
    const earlier = await claim(call, transaction);
    if (earlier !== undefined) return { reply: replay(earlier.stored, earlier.claim) };
    const effect = await write(transaction);
    const entry = {
      id: newId(call.now),
      events: [
        ...usage.map((used) => usageEvent(call, used, reservationId)),
        auditEvent(call, effect.audit),
        ...(effect.events ?? []),
      ],
    };
    await Promise.all([
      keepAnswer(call, transaction, effect.storedReply ?? effect.reply),
      addToOutbox(call, transaction, entry),
    ]);
    return { reply: effect.reply, entry };
  });
}

async function claim(
  call: Call,
  transaction: Queries,
): Promise<{ stored: StoredAnswer; claim: NonNullable<Call['idempotency']> } | undefined> {
  if (call.idempotency === null) return undefined;
  const lockName = [call.tenant.tenantId, call.route, call.idempotency.key].join('\u001f');
  const [lock] = await transaction.query<{ free: boolean }>(
    `select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as free`,
    [lockName],
  );
  if (lock?.free !== true) throw stillRunning();
  const [stored] = await transaction.query<StoredAnswer>(
    `select key, fingerprint, status, headers, body from ops.idempotency
      where tenant_id = $1 and route = $2 and key = $3 and expires_at > $4`,
    [call.tenant.tenantId, call.route, call.idempotency.key, call.now],
  );
  return stored === undefined ? undefined : { stored, claim: call.idempotency };
}

async function keepAnswer(call: Call, transaction: Queries, reply: Reply): Promise<void> {
  if (call.idempotency === null) return;
  await transaction.query(
    `insert into ops.idempotency (tenant_id, route, key, fingerprint, status, headers, body, created_at, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (tenant_id, route, key) do update
        set fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
            body = excluded.body, created_at = excluded.created_at, expires_at = excluded.expires_at`,
    [
      call.tenant.tenantId,
      call.route,
      call.idempotency.key,
      call.idempotency.fingerprint,
      reply.status,
      json({ ...(reply.body === undefined ? {} : { 'content-type': 'application/json' }), ...reply.headers }),
      reply.body === undefined ? null : JSON.stringify(reply.body),
      call.now,
      new Date(call.now.getTime() + IDEMPOTENCY_TTL_MS),
    ],
  );
}

/** Adds an entry to the outbox in the write's own transaction. */
async function addToOutbox(
  call: Call,
  transaction: Queries,
  entry: { id: string; events: readonly CloudEvent[] },
): Promise<void> {
  await transaction.query(`insert into ops.outbox (id, tenant_id, events) values ($1, $2, $3)`, [
    entry.id,
    call.tenant.tenantId,
    json(entry.events),
  ]);
}
