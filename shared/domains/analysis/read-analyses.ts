import type { z } from 'zod';
import { when } from '../../platform/db/keyset.ts';
import type { Call } from '../../platform/call/call.ts';
import { listReply } from '../../platform/http/list-reply.ts';
import type { Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { analysesQuery, Analysis } from './schemas.ts';

/** The columns of an analysis as it is read, of a request `q`. */
export const ANALYSIS_COLUMNS = `q.request_id, q.period, q.metrics, q.evidence_refs, q.analysis_type, q.priority, q.metadata,
  q.status, q.created_at, q.updated_at, q.expires_at,
  (select r.template_fallback_used from analysis_responses r
    where r.tenant_id = q.tenant_id and r.request_id = q.request_id) as template_fallback_used,
  (select jsonb_build_object('explanation', r.explanation, 'remediation_steps', r.remediation_steps,
            'policy_recommendations', r.policy_recommendations, 'confidence', r.confidence,
            'analysis_metadata', r.analysis_metadata, 'version_info', r.version_info,
            'processing_time_ms', r.processing_time_ms, 'model_used', r.model_used,
            'template_fallback_used', r.template_fallback_used, 'template_id', r.template_id,
            'submitted_response', r.submitted_response, 'created_at', r.created_at)
     from analysis_responses r where r.tenant_id = q.tenant_id and r.request_id = q.request_id) as response`;

/**
 * One analysis with its response.
 * @throws Problem 404 if the tenant has none of that id, or it has expired.
 */
export async function readAnalysis(call: Call, requestId: string): Promise<Reply<200, Analysis>> {
  const [row] = await call.tenant.statement<Analysis>(
    `select r.* from scope, lateral (
       select ${ANALYSIS_COLUMNS} from analysis_requests q
        where q.tenant_id = scope.tenant_id and q.request_id = $2 and q.expires_at > $3 offset 0) r`,
    [requestId, call.now],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such analysis.' });
  return ok(row);
}

/** A page of the tenant's analyses. */
export function listAnalyses(
  call: Call,
  query: z.output<typeof analysesQuery>,
  url: string,
): Promise<Reply<200, Page<Analysis>>> {
  return listReply(call, query, url, {
    table: 'analysis_requests q',
    columns: ANALYSIS_COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'request_id',
    idType: 'uuid',
    conditions: [
      ...when('expires_at > ?', call.now),
      ...when('analysis_type = ?', query.analysis_type),
      ...when('status = ?', query.status),
    ],
  });
}
