import { z } from 'zod';
import { freeForm, instant, unit } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { lowerUuid, uuid } from '../../platform/ids/uuid.ts';

/** Half of an ordinary body: metrics are figures, not the evidence itself. */
const METRICS_MAX_BYTES = 128 * 1024;
/** Evidence is named, not included. More evidence takes several analyses. */
const EVIDENCE_MAX = 500;

const step = z.union([z.string().min(1).max(10_000), freeForm]);
const steps = z.array(step).max(200).default([]);

/** References to evidence. */
export const evidenceRefs = z
  .array(z.string().min(1).max(500).overwrite(lowerUuid))
  .max(EVIDENCE_MAX)
  .describe('Ids of records or requests, or references of the client’s own.');

/** The kind of an analysis, which is also the `template_type` of its templates. */
export const analysisType = z.string().regex(/^[a-z0-9_]{1,100}$/, 'must be 1 to 100 of a-z, 0-9 and _');

/** `PUT /analyses/{request_id}/response`. */
export const analysisResponse = z.strictObject({
  explanation: z.string().min(1).max(50_000),
  remediation_steps: steps,
  policy_recommendations: steps,
  confidence: unit,
  analysis_metadata: freeForm.default({}),
  version_info: freeForm.default({}),
  processing_time_ms: z.number().int().nonnegative().max(86_400_000),
  model_used: z.string().min(1).max(200),
});
export type AnalysisResponse = z.output<typeof analysisResponse>;

/** `POST /analyses`. */
export const newAnalysis = z.strictObject({
  // Negated: a comparison with an invalid instant is false, so that this fault is not reported beside that one.
  period: z
    .strictObject({ start: instant, end: instant })
    .refine(({ start, end }) => !(Date.parse(end) <= Date.parse(start)), {
      path: ['end'],
      message: 'must be after start',
    }),
  metrics: freeForm
    .refine((metrics) => Buffer.byteLength(JSON.stringify(metrics)) <= METRICS_MAX_BYTES, {
      message: `must be at most ${METRICS_MAX_BYTES} bytes of JSON`,
    })
    .describe('Figures by name, with any nesting. Templates read them as `metrics.<path>`.'),
  evidence_refs: evidenceRefs.default([]),
  analysis_type: analysisType.default('gap_analysis'),
  priority: z.enum(['low', 'normal', 'high', 'critical']).default('normal'),
  metadata: freeForm.default({}),
  response: analysisResponse.optional(),
});
export type NewAnalysis = z.output<typeof newAnalysis>;

/** `POST /analyses/{request_id}/fallback`; the body may be left out. */
export const fallbackRequest = z
  .strictObject({ reason: z.string().min(1).max(500).optional() })
  .default({})
  .describe('Why no response is expected.');
export type FallbackRequest = z.output<typeof fallbackRequest>;

const requestFields = {
  request_id: uuid,
  status: z.enum(['pending', 'completed', 'failed']),
  analysis_type: z.string(),
  created_at: z.string(),
  expires_at: z.string(),
};

const templateUse = {
  template_fallback_used: z.boolean().describe('Whether a template replaced the response.'),
  template_id: uuid.nullable(),
};

/** The answer to a recorded analysis. */
export const analysisCreated = z.object({
  ...requestFields,
  ...z.object(templateUse).partial().shape,
});

export type AnalysisCreated = z.output<typeof analysisCreated>;

/** An analysis as it is read. */
export const analysis = z.object({
  ...requestFields,
  period: z.object({ start: z.string(), end: z.string() }),
  metrics: freeForm,
  evidence_refs: z.array(z.string()),
  priority: z.string(),
  metadata: freeForm,
  updated_at: z.string(),
  template_fallback_used: templateUse.template_fallback_used.nullable().describe('Null while it is pending.'),
  response: z
    .object({
      explanation: z.string(),
      remediation_steps: z.array(z.unknown()),
      policy_recommendations: z.array(z.unknown()),
      confidence: z.number(),
      analysis_metadata: freeForm,
      version_info: freeForm,
      processing_time_ms: z.number(),
      model_used: z.string(),
      ...templateUse,
      submitted_response: z.unknown().describe('The response that the template replaced, as it was sent.'),
      created_at: z.string(),
    })
    .nullable(),
});

export type Analysis = z.output<typeof analysis>;

/** `GET /analyses`. */
export const analysesQuery = z.object({
  ...pageQuery,
  analysis_type: z.string().max(100).optional(),
  status: z.enum(['pending', 'completed', 'failed']).optional(),
});
