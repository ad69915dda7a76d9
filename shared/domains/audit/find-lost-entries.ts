import type { AuditData, CloudEvent } from '../../platform/bus/events.ts';
import { findNewEvents } from '../../platform/consume/same-event.ts';
import { readInPages } from '../../platform/db/read-in-pages.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { TRACE_PAGE } from '../../platform/writes/traced-write.ts';
import { TRAIL } from './consume-audit.ts';

/** Those of the events that the trail does not have. */
export function findLostEntries(
  core: CrossTenantDatabase,
  events: readonly CloudEvent<AuditData>[],
): Promise<CloudEvent<AuditData>[]> {
  return findNewEvents(core, TRAIL, events);
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
  yield* readInPages<EntryEvent>({
    size: TRACE_PAGE,
    firstId: '',
    read: (after) =>
      core.query<EntryEvent>(
        `select id, event_id, created_at, action, resource_id from audit_logs
        where tenant_id = $1 and event_source = $2 and created_at >= $3 and created_at <= $4
          and (created_at, event_id) > ($5::timestamptz, $6)
        order by created_at, event_id limit ${TRACE_PAGE}`,
        [of.tenantId, of.source, of.from, of.to, ...after],
        { prepare: false },
      ),
    placeOf: (row) => [row.created_at, row.event_id],
  });
}
