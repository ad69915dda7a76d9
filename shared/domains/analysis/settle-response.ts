import { fingerprintOf } from '../../platform/call/idempotency-key.ts';
import type { Template } from './find-templates.ts';
import type { AnalysisResponse, NewAnalysis } from './schemas.ts';
import { renderTemplate } from './template.ts';

/** The fields of an analysis that templates use. */
export interface AnalysisSubject extends Pick<
  NewAnalysis,
  'analysis_type' | 'period' | 'metrics' | 'evidence_refs'
> {
  readonly tenantId: string;
  readonly requestId: string;
}

/** An analysis's final response, as it is stored. */
export interface SettledResponse extends AnalysisResponse {
  readonly template_fallback_used: boolean;
  readonly template_id: string | null;
  /** The response that a template replaced; absent if none was replaced. */
  readonly submitted_response?: AnalysisResponse;
  /** Base64 of {@link responseFingerprint}. */
  readonly fingerprint: string;
}

/** The columns of `analysis_responses` that hold a settled response, and their values from `answer jsonb`. */
export const SETTLED_COLUMNS = `explanation, remediation_steps, policy_recommendations, confidence, analysis_metadata,
  version_info, processing_time_ms, model_used, template_fallback_used, template_id, submitted_response, fingerprint`;
export const SETTLED_VALUES = `answer->>'explanation', answer->'remediation_steps', answer->'policy_recommendations',
  (answer->>'confidence')::float8, answer->'analysis_metadata', answer->'version_info',
  (answer->>'processing_time_ms')::int, answer->>'model_used', (answer->>'template_fallback_used')::boolean,
  (answer->>'template_id')::uuid, answer->'submitted_response', decode(answer->>'fingerprint', 'base64')`;

/** Tells a repeated response from another one. The order of JSON members does not change it. */
export function responseFingerprint(response: AnalysisResponse): Buffer {
  return fingerprintOf(response);
}

/** Whether a response is less sure than the cutoff. If a template exists, the template replaces it. */
export function isUnsure(response: AnalysisResponse | undefined, cutoff: number): boolean {
  return response !== undefined && response.confidence < cutoff;
}

/**
 * The final response: the submitted one, or the rendered template if the submitted one is less sure than the cutoff and a
 * template exists. The submitted response is then kept beside it.
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

/** The rendered template as the response, when no response is expected. Its confidence is its own, or 0. */
export function settleFallback(
  subject: AnalysisSubject,
  template: Template,
  reason: string | undefined,
): SettledResponse {
  return {
    ...renderFor(subject, template, { cause: 'requested', ...(reason === undefined ? {} : { reason }) }),
    confidence: template.content.confidence ?? 0,
    processing_time_ms: 0,
    // Differs from every response's: each later response is another one.
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
