import { z } from 'zod';
import { freeForm, instant, unit } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** The contract's limit, in Unicode code points. */
const CONTENT_MAX_CHARACTERS = 50_000;
/** The longest content with every character escaped is 600 KB. The detectors' outputs come in addition. */
export const ORCHESTRATION_BODY_LIMIT = 1024 * 1024;
/** The most detector results of one call. */
const RESULTS_MAX = 100;
/** The largest PostgreSQL integer: 24 days in milliseconds. */
const MILLISECONDS_MAX = 2_147_483_647;

/** The states of an orchestration. */
const STATUSES = ['pending', 'running', 'completed', 'failed', 'cancelled'] as const;

const RESULT_STATUSES = ['success', 'failed', 'timeout', 'unavailable', 'skipped'] as const;
const detectorName = z.string().min(1).max(200);
const errorText = z.string().min(1).max(10_000);
const milliseconds = z.number().int().nonnegative().max(MILLISECONDS_MAX);
const contentType = z.enum(['text', 'image', 'document', 'code']);
const environment = z.enum(['dev', 'stage', 'prod']);
const processingMode = z.enum(['sync', 'async']);
const priority = z.enum(['low', 'normal', 'high', 'critical']);
const policyBundle = z.string().min(1).max(200);

function fitsContent(text: string): boolean {
  // A character has one or two UTF-16 units, so only lengths between the limit and twice the limit need counting.
  if (text.length <= CONTENT_MAX_CHARACTERS) return true;
  return text.length <= 2 * CONTENT_MAX_CHARACTERS && Array.from(text).length <= CONTENT_MAX_CHARACTERS;
}

/** The result of one attempt of a detector. */
const detectorResult = z.strictObject({
  detector: detectorName,
  status: z.enum(RESULT_STATUSES),
  output: z
    .union([freeForm, z.array(z.unknown()), z.string()])
    .optional()
    .describe('The raw finding. Labels in `taxonomy` or `categories` count for taxonomy coverage.'),
  metadata: freeForm.default({}),
  error: errorText.optional(),
  processing_time_ms: milliseconds,
  confidence: unit
    .optional()
    .describe('Absent counts as 0: the result is then below every `confidence_threshold` above 0.'),
});
export type DetectorResult = z.output<typeof detectorResult>;

/** `POST /orchestrations/{request_id}/detector-results`. */
export const newResults = z.strictObject({ results: z.array(detectorResult).min(1).max(RESULTS_MAX) });
export type NewResults = z.output<typeof newResults>;

/** `PUT /orchestrations/{request_id}/response`. It has no coverage: the backend computes it. */
export const orchestrationResponse = z.strictObject({
  aggregated_payload: freeForm.optional(),
  mapping_result: freeForm.optional().describe('Labels in its `taxonomy` count for taxonomy coverage.'),
  total_processing_time_ms: milliseconds,
  routing_decision: freeForm.default({}),
  error: errorText.optional().describe('Why there is no result. The request then ends as failed.'),
});
export type OrchestrationResponse = z.output<typeof orchestrationResponse>;

/** `POST /orchestrations`. */
export const newOrchestration = z
  .strictObject({
    content: z
      .string()
      .min(1)
      .refine(fitsContent, { message: `must be at most ${CONTENT_MAX_CHARACTERS} characters` })
      .meta({ maxLength: CONTENT_MAX_CHARACTERS })
      .describe(
        'The content that the detectors examine. It is sealed under the tenant’s key, never logged, and never part of an answer.',
      ),
    content_type: contentType,
    policy_bundle: policyBundle.describe(
      'The name of an active routing plan: the tenant’s own, else the platform’s.',
    ),
    environment,
    processing_mode: processingMode.default('sync'),
    priority: priority.default('normal'),
    metadata: freeForm.default({}),
    required_detectors: z
      .array(detectorName)
      .max(100)
      .default([])
      .describe('Required in addition to the plan’s primary detectors.'),
    excluded_detectors: z
      .array(detectorName)
      .max(100)
      .default([])
      .describe(
        'Detectors of the plan that are not required. If all of its primary detectors are excluded, the outcome is always partial.',
      ),
    detector_results: z.array(detectorResult).max(RESULTS_MAX).optional(),
    response: orchestrationResponse.optional(),
  })
  .superRefine((body, context) => {
    const required = new Set(body.required_detectors);
    body.excluded_detectors.forEach((detector, n) => {
      if (!required.has(detector)) return;
      const message = 'is required too';
      context.addIssue({ code: 'custom', path: ['excluded_detectors', n], message });
    });
  });
export type NewOrchestration = z.output<typeof newOrchestration>;

const identity = {
  request_id: uuid,
  job_id: uuid.optional().describe('Of async requests only.'),
  status: z.enum(STATUSES),
};

const coverage = {
  coverage_achieved: unit.describe(
    'Computed by the routing plan’s method. It is 0, and partial, if nothing is left to cover or all of the plan’s primary detectors are excluded.',
  ),
  coverage_method: z.string(),
  coverage_threshold: unit,
  fallback_used: z.boolean().describe('True below the threshold.'),
  detectors_attempted: z.number().int(),
  detectors_succeeded: z.number().int().describe('Only those that reached their `confidence_threshold`.'),
  total_processing_time_ms: z.number().int(),
  error: z.string().optional(),
  completed_at: z.string(),
};

/** Detectors that succeeded before on the same content. */
export const knownResults = z.array(
  z.object({ detector: z.string(), status: z.literal('success'), confidence: z.number().nullable() }),
);
export type KnownResults = z.output<typeof knownResults>;

/** The answer to a recorded or completed orchestration. A completed one has its coverage. */
export const orchestrationAnswer = z.object({
  ...identity,
  policy_bundle: z.string(),
  processing_mode: processingMode,
  created_at: z.string(),
  expires_at: z.string(),
  ...z.object(coverage).partial().shape,
  code: z.literal('PARTIAL_COVERAGE').optional(),
  known_results: knownResults
    .optional()
    .describe('Detectors that succeeded on the same content within the last hour. They need not run again.'),
});
export type OrchestrationAnswer = z.output<typeof orchestrationAnswer>;

const belowThreshold = z
  .boolean()
  .describe(
    'True if the confidence was below the detector’s `confidence_threshold` when it was recorded, or absent while the threshold is above 0. Then it is not a success for coverage.',
  );

/** The answer to added results. */
export const resultsAdded = z.object({
  ...identity,
  results: z.array(
    z.object({
      detector: z.string(),
      attempt: z.number().int(),
      status: z.enum(RESULT_STATUSES),
      below_threshold: belowThreshold,
    }),
  ),
});

export type ResultsAdded = z.output<typeof resultsAdded>;

const requestFields = {
  ...identity,
  job_id: uuid.nullable(),
  content_type: contentType,
  policy_bundle: z.string(),
  routing_plan_id: uuid,
  environment,
  processing_mode: processingMode,
  priority,
  metadata: freeForm,
  required_detectors: z.array(z.string()),
  excluded_detectors: z.array(z.string()),
  created_at: z.string(),
  updated_at: z.string(),
  expires_at: z.string(),
  coverage_achieved: unit.nullable(),
  fallback_used: z.boolean().nullable(),
};

/** An orchestration as a list shows it. */
export const orchestrationSummary = z.object(requestFields);
export type OrchestrationSummary = z.output<typeof orchestrationSummary>;

/** An orchestration with all its data except its content. */
export const orchestration = z.object({
  ...requestFields,
  detector_results: z.array(
    z.object({
      detector: z.string(),
      attempt: z.number().int(),
      status: z.enum(RESULT_STATUSES),
      output: z.unknown(),
      metadata: freeForm,
      error: z.string().nullable(),
      processing_time_ms: z.number().int(),
      confidence: unit.nullable(),
      below_threshold: belowThreshold,
      created_at: z.string(),
    }),
  ),
  response: z
    .object({
      ...coverage,
      error: z.string().nullable(),
      aggregated_payload: z.unknown(),
      mapping_result: z.unknown(),
      routing_decision: freeForm,
      detector_results: z.array(
        z.object({
          detector: z.string(),
          attempts: z.number().int(),
          status: z.enum(RESULT_STATUSES),
          confidence: unit.nullable(),
          below_threshold: belowThreshold
            .optional()
            .describe('Absent in orchestrations that were completed before thresholds were applied.'),
        }),
      ),
    })
    .nullable(),
});

export type Orchestration = z.output<typeof orchestration>;

/** `GET /orchestrations`. */
export const orchestrationsQuery = z.object({
  ...pageQuery,
  status: z.enum(STATUSES).optional(),
  policy_bundle: policyBundle.optional(),
  environment: environment.optional(),
  created_from: instant.optional().describe('At or after this instant.'),
  created_to: instant.optional().describe('Before this instant.'),
});

/** `{job_id}` in a path. */
export const asyncOrchestrationParams = z.object({ job_id: uuid });

/** The state of an asynchronous orchestration. */
export const asyncOrchestration = z.object({
  job_id: uuid,
  request_id: uuid,
  status: z.enum(STATUSES),
  created_at: z.string(),
  updated_at: z.string(),
  coverage_achieved: unit.nullable(),
  coverage_threshold: unit.nullable(),
  fallback_used: z.boolean().nullable(),
  error: z.string().nullable(),
});
export type AsyncOrchestration = z.output<typeof asyncOrchestration>;
