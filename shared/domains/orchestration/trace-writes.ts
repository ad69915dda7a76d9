import { readInPages } from '../../platform/db/read-in-pages.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { COMPLETED, CREATED } from '../../platform/writes/event-cause.ts';
import {
  FIRST_ID,
  TRACE_PAGE,
  type TracedWrite,
  type TracePages,
} from '../../platform/writes/traced-write.ts';
import { resultsAct } from './add-results.ts';
import { CANCELLED } from './async-orchestrations.ts';

/** Results that came together. */
interface Results {
  /** Null for those that came with the request. */
  readonly at: string | null;
  readonly attempts: readonly {
    readonly detector: string;
    readonly attempt: number;
    readonly status: string;
  }[];
}

interface Row {
  readonly [column: string]: unknown;
  readonly request_id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly policy_bundle: string;
  readonly status: string;
  readonly completed_at: string | null;
  readonly results: readonly Results[] | null;
}

/** Traces a tenant's orchestrations that were created or changed since a time. */
export async function* traceOrchestrations(
  database: CrossTenantDatabase,
  tenantId: string,
  from: Date,
): TracePages {
  const pages = readInPages<Row>({
    size: TRACE_PAGE,
    firstId: FIRST_ID,
    read: (after) =>
      database.query<Row>(
        `select q.request_id, q.created_at, q.updated_at, q.policy_bundle, q.status, p.created_at as completed_at, r.results
         from orchestration_requests q
         left join orchestration_responses p on p.tenant_id = q.tenant_id and p.request_id = q.request_id
        cross join lateral (
          select json_agg(g) as results from (
            select nullif(d.created_at, q.created_at) as at,
                   json_agg(json_build_object('detector', d.detector, 'attempt', d.attempt, 'status', d.status)) as attempts
              from detector_results d where d.tenant_id = q.tenant_id and d.request_id = q.request_id group by 1) g) r
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
    resource_type: 'orchestration',
    resource_id: of,
    action,
    details,
  });
  const results = row.results ?? [];
  const withRequest = results.find(({ at }) => at === null)?.attempts ?? [];
  const created: TracedWrite = {
    tenantId,
    of,
    act: CREATED,
    at: new Date(row.created_at),
    usage: [ONE_CALL, ...runsOf(withRequest)].map((used) => ({ ...used, reservation_id: of })),
    audit: [
      note('orchestration.created', {
        policy_bundle: row.policy_bundle,
        detector_results: withRequest.length,
      }),
    ],
  };
  const later = (
    act: string,
    at: string,
    action: string,
    more: readonly Results['attempts'][number][] = [],
  ) => ({
    tenantId,
    of,
    act,
    at: new Date(at),
    usage: [ONE_CALL, ...runsOf(more)],
    audit: [
      note(
        action,
        more.length === 0 ? {} : { results: more.map(({ detector, status }) => ({ detector, status })) },
      ),
    ],
  });
  const added = results.flatMap(({ at, attempts }) =>
    at === null ? [] : [later(resultsAct(attempts), at, 'orchestration.results_added', attempts)],
  );
  const { completed_at: completedAt } = row;
  return [
    created,
    ...added,
    ...(completedAt === null || completedAt === row.created_at
      ? []
      : [later(COMPLETED, completedAt, 'orchestration.completed')]),
    ...(row.status === 'cancelled' ? [later(CANCELLED, row.updated_at, 'orchestration.cancelled')] : []),
  ];
}

function runsOf(results: readonly unknown[]) {
  return results.length === 0 ? [] : [{ usage_type: 'detector_runs', usage_amount: results.length }];
}
