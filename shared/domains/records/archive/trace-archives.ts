import { readInPages } from '../../../platform/db/read-in-pages.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { FIRST_ID, TRACE_PAGE, type TracedWrite } from '../../../platform/writes/traced-write.ts';
import { archivedCause, archiveDetails, RECORD_ARCHIVED, storageUsage } from './archived-events.ts';

/** A record of a page, and what its archive caused. */
export interface TracedRecord {
  readonly id: string;
  readonly created_at: string;
  /** Undefined if it is not archived. */
  readonly archive: TracedWrite | undefined;
}

interface Row {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly archived_at: string | null;
  readonly container_name: string;
  readonly sha256: string;
  readonly bytes: string;
}

/** Reads a tenant's records since a time, with the archives of those that are archived. */
export async function* traceRecords(
  database: CrossTenantDatabase,
  tenantId: string,
  from: Date,
): AsyncIterable<readonly TracedRecord[]> {
  const pages = readInPages<Row>({
    size: TRACE_PAGE,
    firstId: FIRST_ID,
    read: (after) =>
      database.query<Row>(
        `select id, created_at, archived_at, container_name, encode(blob_sha256, 'hex') as sha256, blob_bytes::text as bytes
         from storage_records
        where tenant_id = $1 and created_at >= $2 and (created_at, id) > ($3::timestamptz, $4::uuid)
        order by created_at, id limit ${TRACE_PAGE}`,
        [tenantId, from, ...after],
        { prepare: false },
      ),
    placeOf: (row) => [row.created_at, row.id],
  });
  for await (const rows of pages)
    yield rows.map((row) => ({ id: row.id, created_at: row.created_at, archive: archiveOf(tenantId, row) }));
}

function archiveOf(tenantId: string, row: Row): TracedWrite | undefined {
  if (row.archived_at === null) return undefined;
  const record = { tenant_id: tenantId, id: row.id, created_at: row.created_at };
  const bytes = Number(row.bytes);
  const details = archiveDetails({
    container: row.container_name,
    sha256: row.sha256,
    bytes,
  });
  return {
    ...archivedCause(record),
    usage: [storageUsage(record, bytes)],
    audit: [{ action: RECORD_ARCHIVED, resource_type: 'record', resource_id: row.id, details }],
    auditedAt: new Date(row.archived_at),
  };
}
