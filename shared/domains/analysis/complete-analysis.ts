import { json, type TenantTransaction } from '../../platform/db/tenant-database.ts';
import { auditEvent } from '../../platform/writes/caused-events.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { Reply } from '../../platform/call/reply.ts';
import { performWrite } from '../../platform/writes/perform-write.ts';
import { findTemplates, type Template } from './find-templates.ts';
import { noSuchAnalysis, readAnalysis, readAnalysisWithin } from './read-analyses.ts';
import { fallbackNote } from './record-analysis.ts';
import type { AnalysisResponse, FallbackRequest } from './schemas.ts';
import {
  isUnsure,
  responseFingerprint,
  SETTLED_COLUMNS,
  SETTLED_VALUES,
  settleFallback,
  settleResponse,
  type AnalysisSubject,
  type SettledResponse,
} from './settle-response.ts';

interface Answered {
  readonly [column: string]: unknown;
  readonly fingerprint: Buffer;
  readonly template_fallback_used: boolean;
}

type State = Pick<AnalysisSubject, 'analysis_type' | 'period' | 'metrics' | 'evidence_refs'> & {
  readonly [column: string]: unknown;
  readonly fingerprint: Buffer | null;
};

/**
 * Completes an analysis with the response given or, where that is less sure than the tenant's cutoff, with the template of
 * its type. The same response again is 200 and changes nothing.
 * @throws Problem 404, 409 when it was completed otherwise.
 */
export async function respondToAnalysis(
  call: Call,
  requestId: string,
  response: AnalysisResponse,
): Promise<Reply> {
  const state = await findState(call, requestId);
  const fingerprint = responseFingerprint(response);
  if (state.fingerprint !== null) {
    if (!state.fingerprint.equals(fingerprint)) throw completedOtherwise();
    return readAnalysis(call, requestId);
  }
  const cutoff = call.context.config.confidence_cutoff;
  const template = isUnsure(response, cutoff) ? await findTemplate(call, state.analysis_type) : undefined;
  const settled = settleResponse(subjectOf(call, requestId, state), response, cutoff, template);
  return performWrite(call, async (transaction) => {
    const completed = await complete(transaction, requestId, settled, call.now);
    if (!completed) {
      const answered = await findAnswered(transaction, requestId);
      if (answered?.fingerprint.equals(fingerprint) !== true) throw completedOtherwise();
    }
    const fallback = completed && settled.template_fallback_used;
    return {
      reply: await readAnalysisWithin(transaction, requestId, call.now),
      audit: {
        action: 'analysis.completed',
        resource_type: 'analysis',
        resource_id: requestId,
        details: { template_fallback_used: settled.template_fallback_used, repeated: !completed },
      },
      events: fallback ? [auditEvent(call, fallbackNote(requestId, settled))] : [],
    };
  });
}

/**
 * Completes a pending analysis with the template of its type, where no response is waited for. Again is 200 and changes
 * nothing.
 * @throws Problem 404, 409 when it was completed with a response or there is no template.
 */
export async function renderFallback(
  call: Call,
  requestId: string,
  request: FallbackRequest,
): Promise<Reply> {
  const state = await findState(call, requestId);
  const template = await findTemplate(call, state.analysis_type);
  const settled =
    template === undefined
      ? undefined
      : settleFallback(subjectOf(call, requestId, state), template, request.reason);
  return performWrite(call, async (transaction) => {
    const completed = settled !== undefined && (await complete(transaction, requestId, settled, call.now));
    if (!completed) await requireRendered(transaction, requestId, state.analysis_type);
    const note = {
      action: 'analysis.fallback_rendered',
      resource_type: 'analysis',
      resource_id: requestId,
      details: { repeated: true },
    };
    return {
      reply: await readAnalysisWithin(transaction, requestId, call.now),
      audit: completed ? fallbackNote(requestId, settled) : note,
    };
  });
}

async function requireRendered(
  transaction: TenantTransaction,
  requestId: string,
  analysisType: string,
): Promise<void> {
  const answered = await findAnswered(transaction, requestId);
  if (answered === undefined) {
    throw new Problem('CONFLICT', {
      detail: `There is no active template of type ${analysisType}, nor one named default.`,
    });
  }
  if (!answered.template_fallback_used) throw completedOtherwise();
}

/** Completes a pending analysis; false if it is not pending any more. */
async function complete(
  transaction: TenantTransaction,
  requestId: string,
  settled: SettledResponse,
  now: Date,
): Promise<boolean> {
  const done = await transaction.query(
    `with request as (
       update analysis_requests set status = 'completed', updated_at = $4, version = version + 1
        where tenant_id = $1 and request_id = $2 and status = 'pending'
       returning tenant_id, request_id),
     given as (select $3::jsonb as answer)
     insert into analysis_responses (tenant_id, request_id, created_at, ${SETTLED_COLUMNS})
     select tenant_id, request_id, $4, ${SETTLED_VALUES} from request, given
     returning 1`,
    [transaction.tenantId, requestId, json(settled), now],
  );
  return done.length > 0;
}

async function findAnswered(
  transaction: TenantTransaction,
  requestId: string,
): Promise<Answered | undefined> {
  const [answered] = await transaction.query<Answered>(
    `select fingerprint, template_fallback_used from analysis_responses where tenant_id = $1 and request_id = $2`,
    [transaction.tenantId, requestId],
  );
  return answered;
}

async function findState(call: Call, requestId: string): Promise<State> {
  const [state] = await call.tenant.statement<State>(
    `select s.* from scope, lateral (
       select a.analysis_type, a.period, a.metrics, a.evidence_refs, r.fingerprint
         from analysis_requests a left join analysis_responses r using (tenant_id, request_id)
        where tenant_id = scope.tenant_id and request_id = $2 and a.expires_at > $3 offset 0) s`,
    [requestId, call.now],
  );
  if (state === undefined) throw noSuchAnalysis();
  return state;
}

async function findTemplate(call: Call, analysisType: string): Promise<Template | undefined> {
  return (await findTemplates(call, [analysisType])).get(analysisType);
}

function subjectOf(call: Call, requestId: string, state: State): AnalysisSubject {
  const { analysis_type, period, metrics, evidence_refs } = state;
  return { tenantId: call.tenant.tenantId, requestId, analysis_type, period, metrics, evidence_refs };
}

function completedOtherwise(): Problem {
  return new Problem('CONFLICT', { detail: 'The analysis was completed with another response.' });
}
