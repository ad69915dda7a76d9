import { z } from 'zod';
import { freeForm, instant } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { evidenceRefs } from './schemas.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** The most points of one write. */
const METRICS_MAX = 500;
/** 500 points with some metadata and references each. */
export const METRICS_BODY_LIMIT = 1024 * 1024;
/** Far above any real figure. Small enough that no sum or mean of a series leaves a double's range. */
const VALUE_MAX = 1e100;
const metricName = z.string().min(1).max(200);

/** `POST /analysis-metrics`. */
export const newMetrics = z.strictObject({
  metrics: z
    .array(
      z.strictObject({
        metric_name: metricName,
        metric_value: z.number().min(-VALUE_MAX).max(VALUE_MAX),
        metric_unit: z.string().min(1).max(50).optional(),
        time_period: instant.describe('The instant that the value belongs to.'),
        evidence_refs: evidenceRefs.default([]),
        metadata: freeForm.default({}),
      }),
    )
    .min(1)
    .max(METRICS_MAX),
});
export type NewMetrics = z.output<typeof newMetrics>;

/** The answer to written points. */
export const metricsWritten = z.object({
  count: z.number().int(),
  ids: z.array(uuid).describe('In the order given.'),
});

export type MetricsWritten = z.output<typeof metricsWritten>;

/** The lengths of time that a series is summed up by. */
const BUCKETS = ['hour', 'day', 'week', 'month'] as const;
export type Bucket = (typeof BUCKETS)[number];
const AGGREGATES = ['count', 'sum', 'avg', 'min', 'max'] as const;

/** `GET /analysis-metrics`. */
export const metricsQuery = z
  .object({
    limit: pageQuery.limit,
    cursor: pageQuery.cursor,
    sort: z.enum(['time_period', '-time_period']).default('time_period').describe('`-` is latest first.'),
    metric_name: metricName.optional().describe('Needed with `bucket`.'),
    from: instant.optional().describe('The first instant.'),
    to: instant.optional().describe('The end, not included.'),
    bucket: z
      .enum(BUCKETS)
      .optional()
      .describe('Sums the points up by UTC hours, days, weeks (from Monday) or months.'),
    aggregate: z.enum(AGGREGATES).optional().describe('The figure of a bucket that is repeated as `value`.'),
  })
  .refine((query) => query.bucket === undefined || query.metric_name !== undefined, {
    path: ['metric_name'],
    message: 'is needed with bucket: different metrics cannot be summed up',
  })
  .refine((query) => query.aggregate === undefined || query.bucket !== undefined, {
    path: ['aggregate'],
    message: 'is for buckets; bucket is missing',
  })
  .refine(({ from, to }) => from === undefined || to === undefined || !(Date.parse(to) <= Date.parse(from)), {
    path: ['to'],
    message: 'must be after from',
  });
export type MetricsQuery = z.output<typeof metricsQuery>;

/** A point of a series. */
export const metricPoint = z.object({
  id: uuid,
  metric_name: z.string(),
  metric_value: z.number(),
  metric_unit: z.string().nullable(),
  time_period: z.string(),
  evidence_refs: z.array(z.string()),
  metadata: freeForm,
  created_at: z.string(),
  expires_at: z.string(),
});

export type MetricPoint = z.output<typeof metricPoint>;

/** The sums of a series over one bucket. Buckets without points are not listed. */
export const metricBucket = z.object({
  bucket_start: z.string(),
  count: z.number().int(),
  sum: z.number(),
  avg: z.number(),
  min: z.number(),
  max: z.number(),
  value: z.number().optional().describe('The figure that `aggregate` names.'),
});
export type MetricBucket = z.output<typeof metricBucket>;
