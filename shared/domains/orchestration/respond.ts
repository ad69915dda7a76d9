import { json, type TenantTransaction } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { Reply } from '../../platform/call/reply.ts';
import {
  completeOnce,
  sameResponse,
  type CompletionKind,
  type CompletionRow,
} from '../../platform/writes/complete-once.ts';
import {
  complete,
  COMPLETION_COLUMNS,
  COMPLETION_TARGETS,
  COMPLETION_VALUES,
  completedAnswer,
  coverageReply,
  responseFingerprint,
  resultLabels,
  statusOf,
  type Answered,
  type Completion,
  type OutcomeColumn,
  type Attempt,
} from './completion.ts';
import { coverageRule } from './coverage.ts';
import type { OrchestrationAnswer, OrchestrationResponse } from './schemas.ts';

interface OrchestrationRow extends Answered, CompletionRow, Pick<Completion, OutcomeColumn> {
  readonly status: string;
  readonly coverage_rule: unknown;
  readonly completed_at: string;
}

type Completed = Reply<200 | 206, OrchestrationAnswer>;

const ORCHESTRATION: CompletionKind<OrchestrationRow, Completed> = {
  one: 'orchestration',
  requests: 'orchestration_requests',
  responses: 'orchestration_responses',
  columns: `q.request_id, q.job_id, q.policy_bundle, q.processing_mode, q.created_at, q.expires_at, q.status, q.coverage_rule,
    p.created_at as completed_at, p.error, p.coverage_achieved, p.coverage_method, p.coverage_threshold, p.fallback_used,
    p.detectors_attempted, p.detectors_succeeded, p.total_processing_time_ms`,
  answer: (row) => coverageReply(completedAnswer(row, row, row.completed_at), 200),
};

/**
 * Completes an orchestration and computes its coverage from the plan. The same response again gets the same answer and
 * changes nothing, also if both come at once.
 * @throws Problem 404, 409 when it was completed with another response or cancelled.
 */
export async function respondToOrchestration(
  call: Call,
  requestId: string,
  response: OrchestrationResponse,
): Promise<Completed> {
  return completeOnce(call, ORCHESTRATION, requestId, {
    isRepetition: sameResponse(responseFingerprint(response)),
    prepare: () => Promise.resolve(undefined),
    store: async (transaction, request) => {
      if (request.status === 'cancelled') {
        throw new Problem('CONFLICT', { detail: 'The orchestration was cancelled.' });
      }
      const attempts = await readAttempts(call, transaction, requestId);
      const completion = complete(coverageRule.parse(request.coverage_rule), attempts, response);
      await transaction.query(COMPLETE, [
        call.tenant.tenantId,
        requestId,
        call.now,
        json(completion),
        statusOf(completion),
      ]);
      return {
        audit: {
          action: 'orchestration.completed',
          resource_type: 'orchestration',
          resource_id: requestId,
          details: {
            status: statusOf(completion),
            coverage_achieved: completion.coverage_achieved,
            coverage_method: completion.coverage_method,
            fallback_used: completion.fallback_used,
          },
        },
      };
    },
  });
}

interface AttemptRow {
  readonly [column: string]: unknown;
  readonly detector: string;
  readonly attempt: number;
  readonly status: string;
  readonly confidence: number | null;
  readonly below_threshold: boolean;
  readonly taxonomy: unknown;
  readonly categories: unknown;
  readonly metadata_taxonomy: unknown;
}

async function readAttempts(
  call: Call,
  transaction: TenantTransaction,
  requestId: string,
): Promise<Attempt[]> {
  // Reads only the outputs' labels: the outputs may be large.
  const rows = await transaction.query<AttemptRow>(
    `select detector, attempt, status, confidence, below_threshold, output->'taxonomy' as taxonomy, output->'categories' as categories,
            metadata->'taxonomy' as metadata_taxonomy
       from detector_results where tenant_id = $1 and request_id = $2 order by detector, attempt`,
    [call.tenant.tenantId, requestId],
  );
  return rows.map(({ taxonomy, categories, metadata_taxonomy, ...row }) => ({
    ...row,
    labels: resultLabels({ taxonomy, categories }, { taxonomy: metadata_taxonomy }),
  }));
}

const COMPLETE = `
  with response as (
    insert into orchestration_responses (tenant_id, request_id, created_at, ${COMPLETION_TARGETS})
    select $1, $2, $3, ${COMPLETION_VALUES} from jsonb_to_record($4) as c (${COMPLETION_COLUMNS}))
  update orchestration_requests set status = $5, updated_at = $3, version = version + 1
   where tenant_id = $1 and request_id = $2`;
