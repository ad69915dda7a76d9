import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import type { AsyncOrchestration } from './schemas.ts';

/** What a cancellation is called in the identities of its events. */
export const CANCELLED = 'cancelled';

function noAsyncOrchestration(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such asynchronous orchestration.' });
}

/**
 * The state of an asynchronous orchestration, by its `job_id`.
 * @throws Problem 404 if the tenant has none of that id, or it has expired.
 */
export async function readAsyncOrchestration(
  call: Call,
  jobId: string,
): Promise<Reply<200, AsyncOrchestration>> {
  const [row] = await call.tenant.statement<AsyncOrchestration>(
    `select r.* from scope, lateral (
       select o.job_id, o.request_id, o.status, o.created_at, o.updated_at, p.coverage_achieved, p.coverage_threshold,
              p.fallback_used, p.error
         from orchestration_requests o
              left join orchestration_responses p on p.tenant_id = o.tenant_id and p.request_id = o.request_id
        where o.tenant_id = scope.tenant_id and o.job_id = $2 and o.expires_at > $3 offset 0) r`,
    [jobId, call.now],
  );
  if (row === undefined) throw noAsyncOrchestration();
  return ok(row);
}

interface OrchestrationToCancel {
  readonly [column: string]: unknown;
  readonly request_id: string;
  readonly before: string;
}

/**
 * Cancels an asynchronous orchestration that has not ended. Its results stay. A later response is refused.
 * @throws Problem 404, 409 when it has ended.
 */
export async function cancelAsyncOrchestration(
  call: Call,
  jobId: string,
): Promise<Reply<200, AsyncOrchestration>> {
  return performWrite(call, async (transaction) => {
    const [found] = await transaction.query<OrchestrationToCancel>(
      `select request_id, status as before from orchestration_requests
        where tenant_id = $1 and job_id = $2 and expires_at > $3 for update`,
      [call.tenant.tenantId, jobId, call.now],
    );
    if (found === undefined) throw noAsyncOrchestration();
    if (found.before !== 'pending' && found.before !== 'running') {
      throw new Problem('CONFLICT', {
        detail: `The orchestration is ${found.before}; only a pending or running one can be cancelled.`,
      });
    }
    const [cancelled] = await transaction.query<AsyncOrchestration>(
      `update orchestration_requests set status = 'cancelled', updated_at = $3, version = version + 1
        where tenant_id = $1 and request_id = $2
       returning job_id, request_id, status, created_at, updated_at, null as coverage_achieved,
                 null as coverage_threshold, null as fallback_used, null as error`,
      [call.tenant.tenantId, found.request_id, call.now],
    );
    if (cancelled === undefined) throw new Error('a locked row was not updated');
    return {
      reply: ok(cancelled),
      audit: {
        action: 'orchestration.cancelled',
        resource_type: 'orchestration',
        resource_id: found.request_id,
        details: { job_id: jobId, before: found.before },
      },
      cause: { of: found.request_id, act: CANCELLED },
    };
  });
}
