import { json, type TenantTransaction } from '../../platform/db/tenant-database.ts';
import { auditEvent } from '../../platform/writes/caused-events.ts';
import { COMPLETED } from '../../platform/writes/event-cause.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import {
  completeOnce,
  sameResponse,
  type CompletionKind,
  type CompletionRow,
} from '../../platform/writes/complete-once.ts';
import { findTemplates, type Template } from './find-templates.ts';
import { ANALYSIS_COLUMNS } from './read-analyses.ts';
import { fallbackNote } from './record-analysis.ts';
import type { Analysis, AnalysisResponse, FallbackRequest } from './schemas.ts';
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

type AnalysisRow = Analysis & CompletionRow;

const ANALYSIS: CompletionKind<AnalysisRow, Reply<200, Analysis>> = {
  one: 'analysis',
  requests: 'analysis_requests',
  responses: 'analysis_responses',
  columns: ANALYSIS_COLUMNS,
  answer: ({ fingerprint: _, ...analysis }) => ok(analysis),
};

/**
 * Completes an analysis with the response given. A response that is less sure than the tenant's cutoff is replaced by the
 * template of the type. The same response again is 200 and changes nothing.
 * @throws Problem 404, 409 when it was completed with another response.
 */
export async function respondToAnalysis(
  call: Call,
  requestId: string,
  response: AnalysisResponse,
): Promise<Reply<200, Analysis>> {
  const cutoff = call.context.config.confidence_cutoff;
  return completeOnce(call, ANALYSIS, requestId, {
    isRepetition: sameResponse(responseFingerprint(response)),
    prepare: async (analysis) => {
      const template = isUnsure(response, cutoff)
        ? await findTemplate(call, analysis.analysis_type)
        : undefined;
      return settleResponse(subjectOf(call, analysis), response, cutoff, template);
    },
    store: async (transaction, _, settled) => {
      await complete(transaction, requestId, settled, call.now);
      const { template_fallback_used } = settled;
      return {
        audit: {
          action: 'analysis.completed',
          resource_type: 'analysis',
          resource_id: requestId,
          details: { template_fallback_used },
        },
        events: template_fallback_used
          ? [auditEvent(call, fallbackNote(requestId, settled), { of: requestId, act: COMPLETED })]
          : [],
      };
    },
  });
}

/**
 * Completes a pending analysis with the template of its type, when no response is expected. A repeated call is 200 and
 * changes nothing.
 * @throws Problem 404, 409 when it was completed with a response or there is no template.
 */
export async function renderFallback(
  call: Call,
  requestId: string,
  request: FallbackRequest,
): Promise<Reply<200, Analysis>> {
  return completeOnce(call, ANALYSIS, requestId, {
    // A template that replaced an unsure response counts as well: the caller asked for a template.
    isRepetition: (analysis) => analysis.template_fallback_used === true,
    repetitionNote: {
      action: 'analysis.fallback_rendered',
      resource_type: 'analysis',
      resource_id: requestId,
      details: { repeated: true },
    },
    prepare: async (analysis) => {
      const template = await findTemplate(call, analysis.analysis_type);
      if (template === undefined) throw noTemplate(analysis.analysis_type);
      return settleFallback(subjectOf(call, analysis), template, request.reason);
    },
    store: async (transaction, _, settled) => {
      await complete(transaction, requestId, settled, call.now);
      return { audit: fallbackNote(requestId, settled) };
    },
  });
}

function noTemplate(analysisType: string): Problem {
  return new Problem('CONFLICT', {
    detail: `There is no active template of type ${analysisType}, nor one named default.`,
  });
}

/** Completes an analysis whose row is locked. */
async function complete(
  transaction: TenantTransaction,
  requestId: string,
  settled: SettledResponse,
  now: Date,
): Promise<void> {
  await transaction.query(
    `with request as (
       update analysis_requests set status = 'completed', updated_at = $4, version = version + 1
        where tenant_id = $1 and request_id = $2),
     given as (select $3::jsonb as answer)
     insert into analysis_responses (tenant_id, request_id, created_at, ${SETTLED_COLUMNS})
     select $1, $2, $4, ${SETTLED_VALUES} from given`,
    [transaction.tenantId, requestId, json(settled), now],
  );
}

async function findTemplate(call: Call, analysisType: string): Promise<Template | undefined> {
  return (await findTemplates(call, [analysisType])).get(analysisType);
}

function subjectOf(call: Call, analysis: AnalysisRow): AnalysisSubject {
  const { request_id: requestId, analysis_type, period, metrics, evidence_refs } = analysis;
  return { tenantId: call.tenant.tenantId, requestId, analysis_type, period, metrics, evidence_refs };
}
