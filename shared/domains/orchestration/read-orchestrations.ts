import type { z } from 'zod';
import { when } from '../../platform/db/keyset.ts';
import type { Call } from '../../platform/call/call.ts';
import { listReply } from '../../platform/http/list-reply.ts';
import type { Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { Orchestration, orchestrationsQuery, OrchestrationSummary } from './schemas.ts';

const REQUEST_COLUMNS = `request_id, job_id, content_type, policy_bundle,
  routing_plan_id, environment, processing_mode, priority, metadata, required_detectors, excluded_detectors, status,
  created_at, updated_at, expires_at, coverage_achieved, fallback_used`;

/** Requests, each with the coverage of its response. */
const REQUESTS_WITH_COVERAGE = `orchestration_requests o left join lateral (
    select p.coverage_achieved, p.fallback_used from orchestration_responses p
     where p.tenant_id = o.tenant_id and p.request_id = o.request_id) coverage on true`;

const DETAIL_COLUMNS = `
  (select coalesce(jsonb_agg(jsonb_build_object('detector', d.detector, 'attempt', d.attempt, 'status', d.status,
            'output', d.output, 'metadata', d.metadata, 'error', d.error, 'processing_time_ms', d.processing_time_ms,
            'confidence', d.confidence, 'below_threshold', d.below_threshold, 'created_at', d.created_at) order by d.detector, d.attempt), '[]')
     from detector_results d where d.tenant_id = o.tenant_id and d.request_id = o.request_id) as detector_results,
  (select jsonb_build_object('detector_results', p.detector_results, 'aggregated_payload', p.aggregated_payload,
            'mapping_result', p.mapping_result, 'total_processing_time_ms', p.total_processing_time_ms,
            'detectors_attempted', p.detectors_attempted, 'detectors_succeeded', p.detectors_succeeded,
            'coverage_achieved', p.coverage_achieved, 'coverage_method', p.coverage_method,
            'coverage_threshold', p.coverage_threshold, 'routing_decision', p.routing_decision,
            'fallback_used', p.fallback_used, 'error', p.error, 'completed_at', p.created_at)
     from orchestration_responses p where p.tenant_id = o.tenant_id and p.request_id = o.request_id) as response`;

/**
 * One orchestration with all attempts of its detectors and its response, never its content.
 * @throws Problem 404 if the tenant has none of that id, or it has expired.
 */
export async function readOrchestration(call: Call, requestId: string): Promise<Reply<200, Orchestration>> {
  const [row] = await call.tenant.statement<Orchestration>(
    `select r.* from scope, lateral (
       select ${REQUEST_COLUMNS}, ${DETAIL_COLUMNS} from ${REQUESTS_WITH_COVERAGE}
        where o.tenant_id = scope.tenant_id and o.request_id = $2 and o.expires_at > $3 offset 0) r`,
    [requestId, call.now],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such orchestration.' });
  return ok(row);
}

/** A page of the tenant's orchestrations. */
export function listOrchestrations(
  call: Call,
  query: z.output<typeof orchestrationsQuery>,
  url: string,
): Promise<Reply<200, Page<OrchestrationSummary>>> {
  return listReply(call, query, url, {
    table: REQUESTS_WITH_COVERAGE,
    columns: REQUEST_COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'request_id',
    idType: 'uuid',
    conditions: [
      ...when('expires_at > ?', call.now),
      ...when('status = ?', query.status),
      ...when('policy_bundle = ?', query.policy_bundle),
      ...when('environment = ?', query.environment),
      ...when('created_at >= ?', query.created_from),
      ...when('created_at < ?', query.created_to),
    ],
  });
}
