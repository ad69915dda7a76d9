import {
  AUDIT_RECORDED,
  newEvent,
  USAGE_RECORDED,
  type AuditData,
  type CloudEvent,
  type UsageData,
} from '../bus/events.ts';
import { json } from '../db/tenant-database.ts';
import type { Call, DatabaseName } from '../call/call.ts';
import { auditEventId, usageEventId, type EventCause } from './event-cause.ts';
import { newEntry, outboxInsert } from './outbox.ts';

/** A request's entry in the audit trail. Details contain field names and counts, never content. */
export interface AuditNote {
  readonly action: string;
  readonly resource_type: string;
  readonly resource_id?: string | null;
  readonly outcome?: AuditData['outcome'];
  readonly details?: Readonly<Record<string, unknown>>;
  /**
   * The tenant whose audit trail gets the entry, if it is not the caller's: for an operator's write that concerns a tenant.
   */
  readonly tenant_id?: string;
}

/** An amount of one type of usage. */
export type Used = Pick<UsageData, 'usage_type' | 'usage_amount'>;

/** Makes the audit event of a note. With a cause, its identity is derived. */
export function auditEvent(call: Call, note: AuditNote, cause?: EventCause): CloudEvent<AuditData> {
  const tenantId = note.tenant_id ?? call.principal.tenantId;
  return newEvent(
    AUDIT_RECORDED,
    {
      tenant_id: tenantId,
      ...(call.principal.userId === null ? {} : { user_id: call.principal.userId }),
      actor: call.principal.actor,
      action: note.action,
      resource_type: note.resource_type,
      resource_id: note.resource_id ?? null,
      outcome: note.outcome ?? 'success',
      details: { ...note.details },
      ip_address: call.origin.ip,
      user_agent: call.origin.userAgent,
      trace_id: call.origin.traceId,
    },
    call.now,
    cause === undefined ? undefined : auditEventId({ ...cause, tenantId, at: call.now }, note.action),
  );
}

/**
 * Makes a usage event of the calling tenant. Its identity is derived from its cause. `reservationId`: the quota reservation that
 * it settles.
 */
export function usageEvent(
  call: Call,
  usage: Used,
  cause: EventCause,
  reservationId?: string,
): CloudEvent<UsageData> {
  const { tenantId } = call.principal;
  return newEvent(
    USAGE_RECORDED,
    {
      tenant_id: tenantId,
      usage_unit: 'count',
      ...usage,
      ...(reservationId === undefined ? {} : { reservation_id: reservationId }),
    },
    call.now,
    usageEventId({ ...cause, tenantId, at: call.now }, usage.usage_type),
  );
}

/** Adds events to an outbox and publishes them, for a request that writes nothing else: a read of a source, a refusal. */
export async function emitEvents(
  call: Call,
  events: readonly CloudEvent[],
  database: DatabaseName = 'core',
): Promise<void> {
  const entry = newEntry(database, call.tenant.tenantId, events, call.now);
  await call.databases[database].statement(
    `, added as (${outboxInsert('select $2, scope.tenant_id, $3 from scope')} returning 1) select from added`,
    [entry.id, json(entry.events)],
  );
  call.services.publisher.publish(entry);
}
