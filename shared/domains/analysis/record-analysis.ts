import { auditEvent, type AuditNote } from '../../platform/writes/caused-events.ts';
import { CREATED } from '../../platform/writes/event-cause.ts';
import type { Call, IdempotencyClaim } from '../../platform/call/call.ts';
import type { Problem } from '../../platform/call/problem.ts';
import { created, type Reply } from '../../platform/call/reply.ts';
import { newId } from '../../platform/ids/ids.ts';
import { defineHotWrite, singleReply, type Item } from '../../platform/writes/hot-write.ts';
import { writeItems } from '../../platform/writes/write-items.ts';
import { expiryOf } from '../retention/expiry.ts';
import { findTemplates, type Template } from './find-templates.ts';
import type { AnalysisCreated, NewAnalysis } from './schemas.ts';
import {
  isUnsure,
  SETTLED_COLUMNS,
  SETTLED_VALUES,
  settleResponse,
  type SettledResponse,
} from './settle-response.ts';

/** The rows of an analysis: the request and, if it is given, the response. */
export const ANALYSIS_WRITE = defineHotWrite({
  route: 'analyses-create',
  columns: {
    period: 'jsonb',
    metrics: 'jsonb',
    evidence_refs: 'jsonb',
    analysis_type: 'text',
    priority: 'text',
    metadata: 'jsonb',
    status: 'text',
    expires_at: 'timestamptz',
    answer: 'jsonb',
  },
  inserts: `
  , request as (
      insert into analysis_requests (tenant_id, request_id, period, metrics, evidence_refs, analysis_type, priority,
        metadata, idempotency_key, status, created_at, updated_at, expires_at)
      select scope.tenant_id, request_id, period, metrics, evidence_refs, analysis_type, priority, metadata,
             idempotency_key, status, written_at, written_at, expires_at
        from fresh, scope)
  , response as (
      insert into analysis_responses (tenant_id, request_id, created_at, ${SETTLED_COLUMNS})
      select scope.tenant_id, request_id, written_at, ${SETTLED_VALUES}
        from fresh, scope where answer is not null)`,
});

type AnalysisItem = Item<Reply<201, AnalysisCreated>>;

/** An analysis to record, and its idempotency key. */
export interface ClaimedAnalysis {
  readonly body: NewAnalysis;
  readonly claim: IdempotencyClaim | null;
}

/** Records one analysis: 201. With a response it is completed at once. */
export async function recordAnalysis(call: Call, body: NewAnalysis): Promise<Reply<201, AnalysisCreated>> {
  const items = await prepareAnalyses(call, [{ body, claim: call.idempotency }]);
  return singleReply(await writeItems(call, ANALYSIS_WRITE, items));
}

/** Prepares analyses for the write: fixes ids and answers, renders templates for responses that are not sure enough. */
async function prepareAnalyses(call: Call, analyses: readonly ClaimedAnalysis[]): Promise<AnalysisItem[]> {
  const cutoff = call.context.config.confidence_cutoff;
  const unsure = analyses.filter(({ body }) => isUnsure(body.response, cutoff));
  const templates = await findTemplates(
    call,
    unsure.map(({ body }) => body.analysis_type),
  );
  return analyses.map(({ body, claim }) => prepare(call, body, claim, templates.get(body.analysis_type)));
}

/** Prepares a batch's analyses; none of them is refused here. */
export function prepareAnalysisBatch(
  call: Call,
  analyses: readonly ClaimedAnalysis[],
): Promise<(AnalysisItem | Problem)[]> {
  return prepareAnalyses(call, analyses);
}

function prepare(
  call: Call,
  body: NewAnalysis,
  claim: IdempotencyClaim | null,
  template: Template | undefined,
): AnalysisItem {
  const requestId = newId(call.now);
  const { response, ...request } = body;
  const subject = { ...request, tenantId: call.tenant.tenantId, requestId };
  const settled =
    response === undefined
      ? undefined
      : settleResponse(subject, response, call.context.config.confidence_cutoff, template);
  const status = settled === undefined ? 'pending' : 'completed';
  const expiresAt = expiryOf(call.context, 'analyses', call.now);
  return {
    requestId,
    claim,
    reply: created(`/api/v1/analyses/${requestId}`, {
      request_id: requestId,
      status,
      analysis_type: body.analysis_type,
      created_at: call.now.toISOString(),
      expires_at: expiresAt.toISOString(),
      ...(settled === undefined
        ? {}
        : { template_fallback_used: settled.template_fallback_used, template_id: settled.template_id }),
    }),
    audit: {
      action: 'analysis.created',
      resource_type: 'analysis',
      resource_id: requestId,
      details: { analysis_type: body.analysis_type, completed: settled !== undefined },
    },
    usage: [
      { usage_type: 'api_calls', usage_amount: 1 },
      { usage_type: 'analysis_runs', usage_amount: 1 },
    ],
    events:
      settled?.template_fallback_used === true
        ? [auditEvent(call, fallbackNote(requestId, settled), { of: requestId, act: CREATED })]
        : [],
    row: { ...request, status, expires_at: expiresAt, answer: settled ?? null },
  };
}

/** The audit event of a template that replaced a response. */
export function fallbackNote(requestId: string, settled: SettledResponse): AuditNote {
  return {
    action: 'analysis.fallback_rendered',
    resource_type: 'analysis',
    resource_id: requestId,
    details: {
      template_id: settled.template_id,
      cause: settled.submitted_response === undefined ? 'requested' : 'low_confidence',
    },
  };
}
