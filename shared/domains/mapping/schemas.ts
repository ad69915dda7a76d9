import { z } from 'zod';
import { freeForm, instant, unit } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** The contract's limit for a mapper payload, in UTF-8 bytes. */
const SOURCE_MAX_BYTES = 64 * 1024;
const NOTES_MAX = 500;

const label = z.string().min(1).max(200);

/** The origin of a mapping. */
const provenance = z.strictObject({
  vendor: z.string().max(200).optional(),
  detector: z.string().max(200).optional(),
  detector_version: z.string().max(200).optional(),
  raw_ref: z.string().max(1000).optional(),
  route: z.string().max(200).optional(),
  model: z.string().max(200).optional(),
  tenant_id: z.string().max(63).optional(),
  ts: instant.optional(),
});

/** The mapper's response. */
const mapperResponseFields = {
  taxonomy: z.array(label).min(1).max(50).describe('Labels of the taxonomy.'),
  scores: z.record(label, unit).describe('By label, in [0,1].'),
  confidence: unit,
  notes: z.string().max(NOTES_MAX).optional(),
  provenance: provenance.optional(),
  policy_context: freeForm.optional(),
  version_info: freeForm.optional(),
};

const cost = {
  processing_time_ms: z.number().int().nonnegative().max(86_400_000),
  model_used: z.string().min(1).max(200),
};

/** `PUT /mappings/{request_id}/response`. */
export const mapperResponse = z.strictObject({ ...mapperResponseFields, ...cost });
export type MapperResponse = z.output<typeof mapperResponse>;

/** `POST /mappings`. */
export const newMapping = z.strictObject({
  detector: z.string().min(1).max(200),
  source_data: z
    .string()
    .min(1)
    .refine((text) => Buffer.byteLength(text) <= SOURCE_MAX_BYTES, {
      message: `must be at most ${SOURCE_MAX_BYTES} bytes`,
    })
    .describe('The mapped text. It is sealed under the tenant’s key and never logged.'),
  output: z
    .union([z.string().max(SOURCE_MAX_BYTES), freeForm])
    .optional()
    .describe('The detector’s raw finding.'),
  model_version: z.string().min(1).max(100),
  processing_mode: z.enum(['sync', 'async']).default('sync'),
  priority: z.enum(['low', 'normal', 'high', 'critical']).default('normal'),
  metadata: freeForm.default({}),
  orchestration_request_id: uuid.optional().describe('The orchestration that the finding belongs to.'),
  response: mapperResponse.optional(),
});
export type NewMapping = z.output<typeof newMapping>;

/** The state of a mapping's review. */
const reviewStatus = z
  .enum(['needs_review', 'confirmed', 'rejected'])
  .describe(
    '`needs_review`: the response was less sure than the tenant’s `mapping_confidence_cutoff` at that time. Later the decision.',
  );
/** Longer than a finding's explanation, shorter than a document. */
const REVIEW_NOTE_MAX = 2000;

/** `POST /mappings/{request_id}/review`. */
export const newReview = z.strictObject({
  decision: z.enum(['confirmed', 'rejected']),
  note: z
    .string()
    .min(1)
    .max(REVIEW_NOTE_MAX)
    .optional()
    .describe('The reason, for later readers of the mapping.'),
});
export type Review = z.output<typeof newReview>;

const reviewFields = {
  review_status: reviewStatus
    .nullable()
    .describe('Null if no review is needed, or there is no response yet.'),
  review_note: z.string().nullable(),
  reviewed_by: z.string().nullable().describe('`key:` and the id of the key that settled it.'),
  reviewed_at: z.string().nullable(),
};

/** The answer to a settled review. */
export const mappingReviewed = z.object({
  request_id: uuid,
  status: z.enum(['pending', 'completed', 'failed']),
  ...reviewFields,
});
export type MappingReviewed = z.output<typeof mappingReviewed>;

const requestFields = {
  request_id: uuid,
  status: z.enum(['pending', 'completed', 'failed']),
  detector: z.string(),
  model_version: z.string(),
  created_at: z.string(),
  expires_at: z.string(),
};

/** The mapper's earlier response to an equal request. */
export const knownResponse = z.object({
  taxonomy: z.array(z.string()),
  scores: z.record(z.string(), z.number()),
  confidence: z.number(),
  model_used: z.string(),
});
export type KnownResponse = z.output<typeof knownResponse>;

/** The answer to a recorded mapping. */
export const mappingCreated = z.object({
  ...requestFields,
  record_id: uuid.optional().describe('The storage record of a completed mapping.'),
  review_status: reviewStatus.optional().describe('`needs_review` if the response is not sure enough.'),
  known_response: knownResponse
    .optional()
    .describe(
      'The mapper’s earlier response to the same detector, source and model version: it need not run again.',
    ),
});

export type MappingCreated = z.output<typeof mappingCreated>;

/** The answer to a mapper's response. */
export const mappingCompleted = mappingCreated
  .pick({ request_id: true, status: true, review_status: true })
  .extend({ record_id: uuid.describe('The storage record.') });
export type MappingCompleted = z.output<typeof mappingCompleted>;

/** A mapping as it is read. */
export const mapping = z.object({
  ...requestFields,
  orchestration_request_id: uuid.nullable(),
  output: z.unknown(),
  processing_mode: z.string(),
  priority: z.string(),
  metadata: freeForm,
  updated_at: z.string(),
  ...reviewFields,
  record_id: uuid.nullable(),
  response: z
    .object({
      taxonomy: z.array(z.string()),
      scores: z.record(z.string(), z.number()),
      confidence: z.number(),
      notes: z.string().nullable(),
      provenance: z.unknown(),
      policy_context: z.unknown(),
      version_info: z.unknown(),
      processing_time_ms: z.number(),
      model_used: z.string(),
      created_at: z.string(),
    })
    .nullable(),
});

export type Mapping = z.output<typeof mapping>;

/** `GET /mappings`. */
export const mappingsQuery = z.object({
  ...pageQuery,
  detector: z.string().max(200).optional(),
  status: z.enum(['pending', 'completed', 'failed']).optional(),
  model_version: z.string().max(100).optional(),
  review_status: reviewStatus.optional().describe('`needs_review` lists mappings without a decision.'),
});
