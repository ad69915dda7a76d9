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
  readonly analysis_type: string;
  readonly completed_at: string | null;
  readonly template_id: string | null;
  readonly is_fallback: boolean | null;
  /** Whether a template replaced a response. Otherwise a template was asked for. */
  readonly is_replaced: boolean | null;
}

/** Traces a tenant's analyses that were created or completed since a time. */
export async function* traceAnalyses(
  database: CrossTenantDatabase,
  tenantId: string,
  from: Date,
): TracePages {
  const pages = readInPages<Row>({
    size: TRACE_PAGE,
    firstId: FIRST_ID,
    read: (after) =>
      database.query<Row>(
        `select q.request_id, q.created_at, q.analysis_type, p.created_at as completed_at, p.template_id,
              p.template_fallback_used as is_fallback, p.submitted_response is not null as is_replaced
         from analysis_requests q
         left join analysis_responses p on p.tenant_id = q.tenant_id and p.request_id = q.request_id
        where q.tenant_id = $1 and q.updated_at >= $2 and (q.created_at, q.request_id) > ($3::timestamptz, $4::uuid)
        order by q.created_at, q.request_id limit ${TRACE_PAGE}`,
        [tenantId, from, ...after],
        { prepare: false },
      ),
    placeOf: (row) => [row.created_at, row.request_id],
  });
  for await (const rows of pages) yield rows.flatMap((row) => writesOf(tenantId, row));
}

const ONE_CALL = { usage_type: 'api_calls', usage_amount: 1 };

function writesOf(tenantId: string, row: Row): TracedWrite[] {
  const of = row.request_id;
  const note = (action: string, details: Readonly<Record<string, unknown>>) => ({
    resource_type: 'analysis',
    resource_id: of,
    action,
    details,
  });
  const rendered =
    row.is_fallback === true
      ? [
          note('analysis.fallback_rendered', {
            template_id: row.template_id,
            cause: row.is_replaced === true ? 'low_confidence' : 'requested',
          }),
        ]
      : [];
  const isWhole = row.completed_at === row.created_at;
  const created: TracedWrite = {
    tenantId,
    of,
    act: CREATED,
    at: new Date(row.created_at),
    usage: [ONE_CALL, { usage_type: 'analysis_runs', usage_amount: 1 }].map((used) => ({
      ...used,
      reservation_id: of,
    })),
    audit: [
      note('analysis.created', { analysis_type: row.analysis_type, completed: isWhole }),
      ...(isWhole ? rendered : []),
    ],
  };
  if (row.completed_at === null || isWhole) return [created];
  const isAskedFor = row.is_fallback === true && row.is_replaced !== true;
  const completed: TracedWrite = {
    tenantId,
    of,
    act: COMPLETED,
    at: new Date(row.completed_at),
    usage: [ONE_CALL],
    audit: [
      ...(isAskedFor
        ? []
        : [note('analysis.completed', { template_fallback_used: row.is_fallback === true })]),
      ...rendered,
    ],
  };
  return [created, completed];
}
