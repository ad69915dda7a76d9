import { json, type TenantTransaction } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
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
  type Try,
} from './completion.ts';
import { coverageRule } from './coverage.ts';
import type { OrchestrationResponse } from './schemas.ts';

/** Another request completed it between the first look and the lock. */
class AlreadyCompleted extends Error {
  override name = 'AlreadyCompleted';
}

/**
 * Completes an orchestration; its coverage is computed from the plan. The same response again gets the same answer and
 * changes nothing, also when both come at once.
 * @throws Problem 404, 409 when it was completed with another response or cancelled.
 */
export async function respondToOrchestration(
  call: Call,
  requestId: string,
  response: OrchestrationResponse,
): Promise<Reply> {
  const earlier = await findRepeated(call, requestId, response);
  if (earlier !== undefined) return earlier;
  try {
    return await performWrite(call, async (transaction) => {
      const request = await lockPending(call, transaction, requestId);
      const tries = await readTries(call, transaction, requestId);
      const completion = complete(coverageRule.parse(request.coverage_rule), tries, response);
      await transaction.query(COMPLETE, [
        call.tenant.tenantId,
        requestId,
        call.now,
        json(completion),
        statusOf(completion),
      ]);
      return {
        reply: coverageReply(completedAnswer(request, completion, call.now), 200),
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
    });
  } catch (error) {
    if (!(error instanceof AlreadyCompleted)) throw error;
    const first = await findRepeated(call, requestId, response);
    if (first === undefined) throw error;
    return first;
  }
}

interface LockedRequest extends Answered {
  readonly [column: string]: unknown;
  readonly status: string;
  readonly coverage_rule: unknown;
}

const ANSWERED = 'o.request_id, o.job_id, o.policy_bundle, o.processing_mode, o.created_at, o.expires_at';

async function lockPending(
  call: Call,
  transaction: TenantTransaction,
  requestId: string,
): Promise<LockedRequest> {
  const [request] = await transaction.query<LockedRequest>(
    `select ${ANSWERED}, status, coverage_rule from orchestration_requests o
      where tenant_id = $1 and request_id = $2 and expires_at > $3 for update`,
    [call.tenant.tenantId, requestId, call.now],
  );
  if (request === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such orchestration.' });
  if (request.status === 'cancelled') {
    throw new Problem('CONFLICT', { detail: 'The orchestration was cancelled.' });
  }
  if (request.status === 'completed' || request.status === 'failed') throw new AlreadyCompleted();
  return request;
}

interface TryRow {
  readonly [column: string]: unknown;
  readonly detector: string;
  readonly attempt: number;
  readonly status: string;
  readonly confidence: number | null;
  readonly taxonomy: unknown;
  readonly categories: unknown;
  readonly metadata_taxonomy: unknown;
}

async function readTries(call: Call, transaction: TenantTransaction, requestId: string): Promise<Try[]> {
  // Only the labels of the outputs: the outputs themselves may be large, and are not needed.
  const rows = await transaction.query<TryRow>(
    `select detector, attempt, status, confidence, output->'taxonomy' as taxonomy, output->'categories' as categories,
            metadata->'taxonomy' as metadata_taxonomy
       from detector_results where tenant_id = $1 and request_id = $2 order by detector, attempt`,
    [call.tenant.tenantId, requestId],
  );
  return rows.map(({ detector, attempt, status, confidence, taxonomy, categories, metadata_taxonomy }) => ({
    detector,
    attempt,
    status,
    confidence,
    labels: resultLabels({ taxonomy, categories }, { taxonomy: metadata_taxonomy }),
  }));
}

const COMPLETE = `
  with response as (
    insert into orchestration_responses (tenant_id, request_id, created_at, ${COMPLETION_TARGETS})
    select $1, $2, $3, ${COMPLETION_VALUES} from jsonb_to_record($4) as c (${COMPLETION_COLUMNS}))
  update orchestration_requests set status = $5, updated_at = $3, version = version + 1
   where tenant_id = $1 and request_id = $2`;

type Repeated = Answered &
  Omit<Completion, 'fingerprint'> & {
    readonly [column: string]: unknown;
    readonly fingerprint: Buffer;
    readonly completed_at: string;
  };

/**
 * The answer to an earlier, equal response; undefined while there is none.
 * @throws Problem 409 when the earlier one was another.
 */
async function findRepeated(
  call: Call,
  requestId: string,
  response: OrchestrationResponse,
): Promise<Reply | undefined> {
  const [stored] = await call.tenant.statement<Repeated>(
    `select r.* from scope, lateral (
       select ${ANSWERED}, p.created_at as completed_at, p.fingerprint, p.error,
              p.coverage_achieved, p.coverage_method, p.coverage_threshold, p.fallback_used, p.detectors_attempted,
              p.detectors_succeeded, p.total_processing_time_ms
         from orchestration_responses p join orchestration_requests o using (tenant_id, request_id)
        where tenant_id = scope.tenant_id and request_id = $2 and o.expires_at > $3 offset 0) r`,
    [requestId, call.now],
  );
  if (stored === undefined) return undefined;
  if (!stored.fingerprint.equals(responseFingerprint(response))) {
    throw new Problem('CONFLICT', { detail: 'The orchestration was completed with another response.' });
  }
  return coverageReply(completedAnswer(stored, stored, stored.completed_at), 200);
}
