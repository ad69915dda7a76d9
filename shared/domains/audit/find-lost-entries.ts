import type { AuditData, CloudEvent } from '../../platform/bus/events.ts';
import { findNew } from '../../platform/consume/same-event.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { TRACE_PAGE } from '../../platform/writes/traced-write.ts';
import { TRAIL } from './consume-audit.ts';

/** Those of the events that the trail does not have. */
export async function findLostEntries(
  core: CrossTenantDatabase,
  events: readonly CloudEvent<AuditData>[],
): Promise<CloudEvent<AuditData>[]> {
  const identities = events.map((event) => ({
    tenant_id: event.data.tenant_id,
    source: event.source,
    event_id: event.id,
    at: event.time,
    event,
  }));
  return (await findNew(core, TRAIL, identities)).map(({ event }) => event);
}

/** An entry, as far as its event is concerned. */
export interface EntryEvent {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly event_id: string;
  readonly created_at: string;
  readonly action: string;
  readonly resource_id: string | null;
}

/** Reads the events of a tenant's entries in a span, from one source, in pages. */
export async function* readEntryEvents(
  core: CrossTenantDatabase,
  of: { readonly tenantId: string; readonly source: string; readonly from: Date; readonly to: Date },
): AsyncIterable<readonly EntryEvent[]> {
  let after: readonly [string, string] = ['-infinity', ''];
  for (;;) {
    const rows = await core.query<EntryEvent>(
      `select id, event_id, created_at, action, resource_id from audit_logs
        where tenant_id = $1 and event_source = $2 and created_at >= $3 and created_at <= $4
          and (created_at, event_id) > ($5::timestamptz, $6)
        order by created_at, event_id limit ${TRACE_PAGE}`,
      [of.tenantId, of.source, of.from, of.to, ...after],
      { prepare: false },
    );
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < TRACE_PAGE) return;
    after = [last.created_at, last.event_id];
  }
}
