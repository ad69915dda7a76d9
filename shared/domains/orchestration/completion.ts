import { fingerprintOf } from '../../platform/call/idempotency-key.ts';
import type { Reply, ReplyHeaders } from '../../platform/call/reply.ts';
import { assessCoverage, labelsOf, type CoverageRule, type Finding } from './coverage.ts';
import type { OrchestrationAnswer, OrchestrationResponse } from './schemas.ts';

/** One attempt of a detector, with the fields that a completion needs. */
export interface Attempt extends Finding {
  readonly attempt: number;
  readonly confidence: number | null;
}

/** The row of `orchestration_responses` without its keys and time. */
export interface Completion {
  readonly detector_results: readonly DetectorSummary[];
  readonly aggregated_payload: unknown;
  readonly mapping_result: unknown;
  readonly total_processing_time_ms: number;
  readonly detectors_attempted: number;
  readonly detectors_succeeded: number;
  readonly coverage_achieved: number;
  readonly coverage_method: string;
  readonly coverage_threshold: number;
  readonly routing_decision: Readonly<Record<string, unknown>>;
  readonly fallback_used: boolean;
  readonly error: string | null;
  /** Base64. */
  readonly fingerprint: string;
}

interface DetectorSummary {
  readonly detector: string;
  readonly attempts: number;
  readonly status: string;
  readonly confidence: number | null;
  readonly below_threshold: boolean;
}

/** {@link Completion} as a `jsonb_to_record` column list. */
export const COMPLETION_COLUMNS = `detector_results jsonb, aggregated_payload jsonb, mapping_result jsonb,
  total_processing_time_ms int, detectors_attempted int, detectors_succeeded int, coverage_achieved float8,
  coverage_method text, coverage_threshold float8, routing_decision jsonb, fallback_used boolean, error text,
  fingerprint text`;

/** The columns that a completion fills, in the order of {@link COMPLETION_VALUES}. */
export const COMPLETION_TARGETS = `detector_results, aggregated_payload, mapping_result, total_processing_time_ms,
  detectors_attempted, detectors_succeeded, coverage_achieved, coverage_method, coverage_threshold, routing_decision,
  fallback_used, error, fingerprint`;

/** The values of {@link COMPLETION_TARGETS}, from a record named `c`. */
export const COMPLETION_VALUES = `c.detector_results, c.aggregated_payload, c.mapping_result,
  c.total_processing_time_ms, c.detectors_attempted, c.detectors_succeeded, c.coverage_achieved, c.coverage_method,
  c.coverage_threshold, c.routing_decision, c.fallback_used, c.error, decode(c.fingerprint, 'base64')`;

/** The labels that a result names: in its output's `taxonomy` and `categories`, and its metadata's `taxonomy`. */
export function resultLabels(output: unknown, metadata: Readonly<Record<string, unknown>>): string[] {
  const found: Readonly<Record<string, unknown>> =
    typeof output === 'object' && output !== null && !Array.isArray(output) ? { ...output } : {};
  return [found['taxonomy'], found['categories'], metadata['taxonomy']].flatMap(labelsOf);
}

/** Tells a repeated response from another one. The order of JSON members does not change it. */
export function responseFingerprint(response: OrchestrationResponse): Buffer {
  return fingerprintOf(response);
}

/** Each detector's number of attempts and last status. */
function summarize(attempts: readonly Attempt[]): DetectorSummary[] {
  const last = new Map<string, Attempt>();
  for (const one of attempts) {
    if (one.attempt > (last.get(one.detector)?.attempt ?? 0)) last.set(one.detector, one);
  }
  return [...last.values()].map(({ detector, attempt, status, confidence, below_threshold }) => ({
    detector,
    attempts: attempt,
    status,
    confidence,
    below_threshold,
  }));
}

/** Completes a request: computes its coverage from its rule and all attempts. */
export function complete(
  rule: CoverageRule,
  attempts: readonly Attempt[],
  response: OrchestrationResponse,
): Completion {
  const coverage = assessCoverage(rule, attempts, labelsOf(response.mapping_result?.['taxonomy']));
  return {
    detector_results: summarize(attempts),
    aggregated_payload: response.aggregated_payload ?? null,
    mapping_result: response.mapping_result ?? null,
    total_processing_time_ms: response.total_processing_time_ms,
    detectors_attempted: coverage.attempted,
    detectors_succeeded: coverage.succeeded,
    coverage_achieved: coverage.achieved,
    coverage_method: rule.method,
    coverage_threshold: rule.threshold,
    routing_decision: response.routing_decision,
    fallback_used: coverage.partial,
    error: response.error ?? null,
    fingerprint: responseFingerprint(response).toString('base64'),
  };
}

/** The request of an answer. Its times come from the database or the clock. */
export interface Answered {
  readonly request_id: string;
  readonly job_id: string | null;
  readonly policy_bundle: string;
  readonly processing_mode: 'sync' | 'async';
  readonly created_at: string | Date;
  readonly expires_at: string | Date;
}

/** The columns of a completion that are in an answer. */
export type OutcomeColumn =
  | 'coverage_achieved'
  | 'coverage_method'
  | 'coverage_threshold'
  | 'fallback_used'
  | 'detectors_attempted'
  | 'detectors_succeeded'
  | 'total_processing_time_ms'
  | 'error';

type Outcome = Pick<Completion, OutcomeColumn>;

/** An instant in one spelling, so that a repeated answer has the first answer's text. */
function spelled(instant: string | Date): string {
  return new Date(instant).toISOString();
}

/** The answer for a request that is not completed. */
export function openAnswer(request: Answered, status: OrchestrationAnswer['status']): OrchestrationAnswer {
  return {
    request_id: request.request_id,
    ...(request.job_id === null ? {} : { job_id: request.job_id }),
    status,
    policy_bundle: request.policy_bundle,
    processing_mode: request.processing_mode,
    created_at: spelled(request.created_at),
    expires_at: spelled(request.expires_at),
  };
}

/** The answer for a completed request: the same each time. */
export function completedAnswer(
  request: Answered,
  outcome: Outcome,
  completedAt: string | Date,
): OrchestrationAnswer {
  return {
    ...openAnswer(request, statusOf(outcome)),
    coverage_achieved: outcome.coverage_achieved,
    coverage_method: outcome.coverage_method,
    coverage_threshold: outcome.coverage_threshold,
    fallback_used: outcome.fallback_used,
    detectors_attempted: outcome.detectors_attempted,
    detectors_succeeded: outcome.detectors_succeeded,
    total_processing_time_ms: outcome.total_processing_time_ms,
    ...(outcome.error === null ? {} : { error: outcome.error }),
    completed_at: spelled(completedAt),
    ...(outcome.fallback_used ? { code: 'PARTIAL_COVERAGE' as const } : {}),
  };
}

/** A completed request's status. An error means that there is no result, also with full coverage. */
export function statusOf(outcome: Pick<Completion, 'error'>): 'completed' | 'failed' {
  return outcome.error === null ? 'completed' : 'failed';
}

/** 206 below the threshold, else the route's status for success. */
export function coverageReply<Success extends 200 | 201>(
  answer: OrchestrationAnswer,
  success: Success,
  headers: ReplyHeaders = {},
): Reply<Success | 206, OrchestrationAnswer> {
  return { status: answer.fallback_used === true ? 206 : success, body: answer, headers };
}
