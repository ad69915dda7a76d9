import { readInPages } from '../../platform/db/read-in-pages.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { COMPLETED, CREATED } from '../../platform/writes/event-cause.ts';
import {
  FIRST_ID,
  TRACE_PAGE,
  type TracedWrite,
  type TracePages,
} from '../../platform/writes/traced-write.ts';

interface Row {
  readonly [column: string]: unknown;
  readonly request_id: string;
  readonly created_at: string;
  readonly detector: string;
  readonly record_id: string | null;
  readonly completed_at: string | null;
}

/** Traces a tenant's mappings that were created or completed since a time. */
export async function* traceMappings(
  database: CrossTenantDatabase,
  tenantId: string,
  from: Date,
): TracePages {
  const pages = readInPages<Row>({
    size: TRACE_PAGE,
    firstId: FIRST_ID,
    read: (after) =>
      database.query<Row>(
        `select q.request_id, q.created_at, q.detector, p.record_id, p.created_at as completed_at
         from mapper_requests q
         left join mapper_responses p on p.tenant_id = q.tenant_id and p.request_id = q.request_id
        where q.tenant_id = $1 and q.updated_at >= $2 and (q.created_at, q.request_id) > ($3::timestamptz, $4::uuid)
        order by q.created_at, q.request_id limit ${TRACE_PAGE}`,
        [tenantId, from, ...after],
        { prepare: false },
      ),
    placeOf: (row) => [row.created_at, row.request_id],
  });
  for await (const rows of pages) yield rows.flatMap((row) => writesOf(tenantId, row));
}

function writesOf(tenantId: string, row: Row): TracedWrite[] {
  const of = row.request_id;
  const resource = { resource_type: 'mapping', resource_id: of };
  const usage = [{ usage_type: 'api_calls', usage_amount: 1 }];
  const isWhole = row.completed_at === row.created_at;
  const created: TracedWrite = {
    tenantId,
    of,
    act: CREATED,
    at: new Date(row.created_at),
    usage: usage.map((used) => ({ ...used, reservation_id: of })),
    audit: [
      {
        ...resource,
        action: 'mapping.created',
        details: { detector: row.detector, completed: isWhole, record_id: isWhole ? row.record_id : null },
      },
    ],
  };
  if (row.completed_at === null || isWhole) return [created];
  const completed: TracedWrite = {
    tenantId,
    of,
    act: COMPLETED,
    at: new Date(row.completed_at),
    usage,
    audit: [{ ...resource, action: 'mapping.completed', details: { record_id: row.record_id } }],
  };
  return [created, completed];
}
