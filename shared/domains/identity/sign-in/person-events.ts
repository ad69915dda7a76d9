import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { AUDIT_RECORDED, newEvent, type AuditData, type CloudEvent } from '../../../platform/bus/events.ts';
import type { CallServices, Origin, OutboxEntry } from '../../../platform/call/call.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { addToOutbox, newEntries } from '../../../platform/writes/outbox.ts';

/** What a person did, or somebody who wants to be that person. Details contain no address and no secret. */
export interface PersonNote {
  /** Whose audit trail gets it; without one, the platform's. */
  readonly tenantId?: string | undefined;
  /** Undefined for an address of nobody. */
  readonly userId?: string | undefined;
  readonly action: string;
  readonly outcome?: AuditData['outcome'];
  readonly resource?: readonly [type: string, id: string];
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The audit event of a note, for routes without a caller. */
export function personEvent(note: PersonNote, origin: Origin, now: Date): CloudEvent<AuditData> {
  const { tenantId = PLATFORM_TENANT, userId } = note;
  const [type, id] = note.resource ?? ['user', userId ?? null];
  return newEvent(
    AUDIT_RECORDED,
    {
      tenant_id: tenantId,
      ...(userId === undefined ? {} : { user_id: userId, actor: `user:${userId}` }),
      action: note.action,
      resource_type: type,
      resource_id: id,
      outcome: note.outcome ?? 'success',
      details: { ...note.details },
      ip_address: origin.ip,
      user_agent: origin.userAgent,
      trace_id: origin.traceId,
    },
    now,
  );
}

/** Adds events to the outbox, in a transaction or alone. Publish the entries after the commit. */
export async function addEvents(
  queries: Pick<CrossTenantDatabase, 'query'>,
  events: readonly CloudEvent[],
  now: Date,
): Promise<readonly OutboxEntry[]> {
  const entries = newEntries('core', PLATFORM_TENANT, events, now);
  await addToOutbox(queries, entries);
  return entries;
}

/** Publishes entries of a committed write. */
export function publishEntries(
  { publisher }: Pick<CallServices, 'publisher'>,
  entries: readonly OutboxEntry[],
): void {
  for (const entry of entries) publisher.publish(entry);
}
