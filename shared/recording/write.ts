import { admitOne, release } from '../billing/admission.ts';
import type { CloudEvent } from '../bus/events.ts';
import type { OutboxEntry } from '../bus/publisher.ts';
import { json, type TenantTransaction } from '../db/tenant-database.ts';
import { auditEvent, usageEvent, type AuditNote, type Used } from '../http/audit.ts';
import type { Call } from '../http/call.ts';
import { IDEMPOTENCY_TTL_MS, replay, stillRunning, type StoredAnswer } from '../http/idempotency.ts';
import type { Reply } from '../http/reply.ts';
import { newId } from '../ids/ids.ts';

/** What a write did: its answer, what the audit trail says of it, and what else it causes. */
export interface Effect {
  readonly reply: Reply;
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
export async function performWrite(
  call: Call,
  write: (transaction: TenantTransaction) => Promise<Effect>,
  metering: Metering = {},
): Promise<Reply> {
  const usage: readonly Used[] = [{ usage_type: 'api_calls', usage_amount: 1 }, ...(metering.usage ?? [])];
  const admission =
    metering.beyondQuota === true ? { reservationId: undefined } : await admitOne(call, usage);
  if ('problem' in admission) {
    const earlier = await call.tenant.transaction((transaction) => claim(call, transaction));
    if (earlier === undefined) throw admission.problem;
    return replay(earlier.stored, earlier.claim);
  }
  let entry: OutboxEntry | undefined;
  try {
    return await call.tenant.transaction(async (transaction) => {
      const earlier = await claim(call, transaction);
      if (earlier !== undefined) return replay(earlier.stored, earlier.claim);
      const effect = await write(transaction);
      const added = {
        id: newId(call.now),
        events: [
          ...usage.map((used) => usageEvent(call, used, admission.reservationId)),
          auditEvent(call, effect.audit),
          ...(effect.events ?? []),
        ],
      };
      await Promise.all([keepAnswer(call, transaction, effect.reply), addToOutbox(transaction, added)]);
      entry = added;
      return effect.reply;
    });
  } catch (error) {
    entry = undefined;
    throw error;
  } finally {
    if (entry !== undefined) call.services.publisher.publish(entry);
    else if (admission.reservationId !== undefined) await release(call, [admission.reservationId]);
  }
}

async function claim(
  call: Call,
  transaction: TenantTransaction,
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

async function keepAnswer(call: Call, transaction: TenantTransaction, reply: Reply): Promise<void> {
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
export async function addToOutbox(
  transaction: TenantTransaction,
  entry: { id: string; events: readonly CloudEvent[] },
): Promise<void> {
  await transaction.query(`insert into ops.outbox (id, tenant_id, events) values ($1, $2, $3)`, [
    entry.id,
    transaction.tenantId,
    json(entry.events),
  ]);
}
