import { recordset } from '../../platform/db/recordset.ts';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import { keepKnownResults } from './known-results.ts';
import type { NewResults, ResultsAdded } from './schemas.ts';
import { findThresholds, withThresholds } from './thresholds.ts';

interface OpenRequest {
  readonly [column: string]: unknown;
  readonly job_id: string | null;
  readonly status: string;
  readonly content_type: string;
  readonly content_mac: string;
}

/**
 * Adds detectors' results to an open request and numbers each detector's attempts. A pending request becomes running.
 * @throws Problem 404, 409 when the request has ended.
 */
export async function addResults(
  call: Call,
  requestId: string,
  { results }: NewResults,
): Promise<Reply<201, ResultsAdded>> {
  let request: OpenRequest | undefined;
  const measured = withThresholds(results, await findThresholds(call));
  const reply = await performWrite<Reply<201, ResultsAdded>>(
    call,
    async (transaction) => {
      request = await lockOpen(call, transaction, requestId);
      const stored = await transaction.query<ResultsAdded['results'][number]>(ADD_RESULTS, [
        call.tenant.tenantId,
        requestId,
        call.now,
        ...RESULTS.parameters(measured.map((result, n) => ({ ...result, n }))),
      ]);
      return {
        reply: {
          status: 201,
          body: {
            request_id: requestId,
            ...(request.job_id === null ? {} : { job_id: request.job_id }),
            status: 'running',
            results: stored,
          },
        },
        audit: {
          action: 'orchestration.results_added',
          resource_type: 'orchestration',
          resource_id: requestId,
          details: { results: results.map(({ detector, status }) => ({ detector, status })) },
        },
        cause: { of: requestId, act: resultsAct(stored) },
      };
    },
    { usage: [{ usage_type: 'detector_runs', usage_amount: results.length }] },
  );
  // A replayed answer did not read the request.
  if (request !== undefined) {
    keepKnownResults(call, { contentType: request.content_type, mac: request.content_mac }, measured);
  }
  return reply;
}

/** Results that came together: no other ones of the request have the same first attempt. */
export function resultsAct(
  results: readonly { readonly detector: string; readonly attempt: number }[],
): string {
  const [first] = results.map(({ detector, attempt }) => `${detector} ${attempt}`).sort();
  return `results ${first ?? ''}`;
}

/** Locks the request's row until the transaction ends, so that callers number their attempts one after the other. */
async function lockOpen(call: Call, transaction: TenantTransaction, requestId: string): Promise<OpenRequest> {
  const [request] = await transaction.query<OpenRequest>(
    `select job_id, status, content_type, encode(content_mac, 'base64') as content_mac from orchestration_requests
      where tenant_id = $1 and request_id = $2 and expires_at > $3 for update`,
    [call.tenant.tenantId, requestId, call.now],
  );
  if (request === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such orchestration.' });
  if (request.status !== 'pending' && request.status !== 'running') {
    throw new Problem('CONFLICT', {
      detail: `The orchestration is ${request.status}: it takes no more results.`,
    });
  }
  return request;
}

const RESULTS = recordset({
  n: 'int',
  detector: 'text',
  status: 'text',
  output: 'jsonb',
  metadata: 'jsonb',
  error: 'text',
  processing_time_ms: 'int',
  confidence: 'float8',
  below_threshold: 'boolean',
});

// A separate statement after the lock, so that it sees what the previous holder of the lock added.
const ADD_RESULTS = `
  with given as (
    select * from ${RESULTS.from('g', 4)}),
  placed as (
    select g.*, (row_number() over (partition by g.detector order by g.n)
             + coalesce((select max(d.attempt) from detector_results d
                          where d.tenant_id = $1 and d.request_id = $2 and d.detector = g.detector), 0))::int as attempt
      from given g),
  added as (
    insert into detector_results (tenant_id, request_id, detector, attempt, status, output, metadata, error,
      processing_time_ms, confidence, below_threshold, created_at)
    select $1, $2, detector, attempt, status, output, metadata, error, processing_time_ms, confidence, below_threshold, $3
      from placed),
  request as (
    update orchestration_requests set status = 'running', updated_at = $3, version = version + 1
     where tenant_id = $1 and request_id = $2)
  select detector, attempt, status, below_threshold from placed order by n`;
