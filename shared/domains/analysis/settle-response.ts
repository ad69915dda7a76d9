import { fingerprintOf } from '../../platform/call/idempotency-key.ts';
import type { Template } from './find-templates.ts';
import type { AnalysisResponse, NewAnalysis } from './schemas.ts';
import { renderTemplate } from './template.ts';

/** What an analysis is about: enough to render a template for it. */
export interface AnalysisSubject extends Pick<
  NewAnalysis,
  'analysis_type' | 'period' | 'metrics' | 'evidence_refs'
> {
  readonly tenantId: string;
  readonly requestId: string;
}

/** The response that an analysis is completed with, as it is stored. */
export interface SettledResponse extends AnalysisResponse {
  readonly template_fallback_used: boolean;
  readonly template_id: string | null;
  /** What was sent and replaced; absent where nothing was. */
  readonly submitted_response?: AnalysisResponse;
  /** Base64 of what tells a repeated response from another one. */
  readonly fingerprint: string;
}

/** The columns of `analysis_responses` that come from a settled response, and their values read from `answer jsonb`. */
export const SETTLED_COLUMNS = `explanation, remediation_steps, policy_recommendations, confidence, analysis_metadata,
  version_info, processing_time_ms, model_used, template_fallback_used, template_id, submitted_response, fingerprint`;
export const SETTLED_VALUES = `answer->>'explanation', answer->'remediation_steps', answer->'policy_recommendations',
  (answer->>'confidence')::float8, answer->'analysis_metadata', answer->'version_info',
  (answer->>'processing_time_ms')::int, answer->>'model_used', (answer->>'template_fallback_used')::boolean,
  (answer->>'template_id')::uuid, answer->'submitted_response', decode(answer->>'fingerprint', 'base64')`;

/** What tells a repeated response from another one: the same however its JSON is ordered. */
export function responseFingerprint(response: AnalysisResponse): Buffer {
  return fingerprintOf(response);
}

/** Whether a response is too unsure to stand where a template is to be had. */
export function isUnsure(response: AnalysisResponse | undefined, cutoff: number): boolean {
  return response !== undefined && response.confidence < cutoff;
}

/**
 * The response that stands: the one submitted or, where it is less sure than the cutoff and there is a template, the
 * template rendered in its place with what was submitted kept beside it.
 */
export function settleResponse(
  subject: AnalysisSubject,
  response: AnalysisResponse,
  cutoff: number,
  template: Template | undefined,
): SettledResponse {
  const fingerprint = responseFingerprint(response).toString('base64');
  if (!isUnsure(response, cutoff) || template === undefined)
    return { ...response, template_fallback_used: false, template_id: null, fingerprint };
  return {
    ...renderFor(subject, template, { cause: 'low_confidence', cutoff }),
    confidence: template.content.confidence ?? response.confidence,
    processing_time_ms: response.processing_time_ms,
    submitted_response: response,
    fingerprint,
  };
}

/** A template rendered where no response is waited for. Without a confidence of its own it vouches for nothing: 0. */
export function settleFallback(
  subject: AnalysisSubject,
  template: Template,
  reason: string | undefined,
): SettledResponse {
  return {
    ...renderFor(subject, template, { cause: 'requested', ...(reason === undefined ? {} : { reason }) }),
    confidence: template.content.confidence ?? 0,
    processing_time_ms: 0,
    // Equal to no response's: whichever comes later is another one.
    fingerprint: fingerprintOf(['fallback']).toString('base64'),
  };
}

function renderFor(
  subject: AnalysisSubject,
  template: Template,
  why: Readonly<Record<string, unknown>>,
): Omit<SettledResponse, 'confidence' | 'processing_time_ms' | 'fingerprint'> {
  const { explanation, remediation_steps, policy_recommendations } = renderTemplate(template.content, {
    tenantId: subject.tenantId,
    requestId: subject.requestId,
    analysisType: subject.analysis_type,
    period: subject.period,
    metrics: subject.metrics,
    evidenceCount: subject.evidence_refs.length,
  });
  return {
    explanation,
    remediation_steps,
    policy_recommendations,
    analysis_metadata: { fallback: why, template_name: template.name },
    version_info: { template_version: template.version },
    model_used: `template:${template.name}`,
    template_fallback_used: true,
    template_id: template.id,
  };
}
