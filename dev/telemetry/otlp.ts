import { z } from 'zod';

// What the app's exporters send: OTLP over HTTP, as JSON.

const attributes = z
  .array(
    z.object({
      key: z.string(),
      value: z.object({
        stringValue: z.string().optional(),
        intValue: z.union([z.number(), z.string()]).optional(),
        doubleValue: z.number().optional(),
        boolValue: z.boolean().optional(),
      }),
    }),
  )
  .default([])
  .transform((list) =>
    Object.fromEntries(
      list.map(({ key, value }) => [
        key,
        String(value.stringValue ?? value.intValue ?? value.doubleValue ?? value.boolValue ?? ''),
      ]),
    ),
  );

const nanoseconds = z.union([z.string(), z.number()]).transform((text) => Number(text) / 1e6);

const span = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.number(),
  startTimeUnixNano: nanoseconds,
  endTimeUnixNano: nanoseconds,
  attributes,
  links: z.array(z.object({ traceId: z.string(), spanId: z.string() })).default([]),
  status: z.object({ code: z.number().default(0) }).default({ code: 0 }),
});

/** `POST /v1/traces`. */
export const tracesBody = z.object({
  resourceSpans: z.array(z.object({ scopeSpans: z.array(z.object({ spans: z.array(span) })) })),
});

const point = z.object({
  attributes,
  asDouble: z.number().optional(),
  asInt: z.union([z.number(), z.string()]).optional(),
  count: z.union([z.number(), z.string()]).optional(),
  sum: z.number().optional(),
  bucketCounts: z.array(z.union([z.number(), z.string()])).optional(),
});
const points = z.object({ dataPoints: z.array(point) }).optional();

/** `POST /v1/metrics`. */
export const metricsBody = z.object({
  resourceMetrics: z.array(
    z.object({
      scopeMetrics: z.array(
        z.object({
          metrics: z.array(z.object({ name: z.string(), sum: points, gauge: points, histogram: points })),
        }),
      ),
    }),
  ),
});

/** One span, as it is kept. Times are ms since 1970. */
export const keptSpan = z.object({
  trace: z.string(),
  id: z.string(),
  parent: z.string().nullable(),
  name: z.string(),
  kind: z.number(),
  start: z.number(),
  end: z.number(),
  attributes: z.record(z.string(), z.string()),
  links: z.array(z.object({ trace: z.string(), id: z.string() })),
  failed: z.boolean(),
});
export type KeptSpan = z.output<typeof keptSpan>;

/** One series of a metric, as it came last. */
export interface KeptPoint {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** A histogram's is its count. */
  readonly value: number;
}

const ERROR = 2;

export function spansOf(body: z.output<typeof tracesBody>): KeptSpan[] {
  const spans = body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
  return spans.map((one) => ({
    trace: one.traceId,
    id: one.spanId,
    parent: one.parentSpanId === undefined || one.parentSpanId === '' ? null : one.parentSpanId,
    name: one.name,
    kind: one.kind,
    start: one.startTimeUnixNano,
    end: one.endTimeUnixNano,
    attributes: one.attributes,
    links: one.links.map(({ traceId, spanId }) => ({ trace: traceId, id: spanId })),
    failed: one.status.code === ERROR,
  }));
}

export function pointsOf(body: z.output<typeof metricsBody>): KeptPoint[] {
  const metrics = body.resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap((scope) => scope.metrics),
  );
  return metrics.flatMap(
    ({ name, ...data }) =>
      (data.sum ?? data.gauge ?? data.histogram)?.dataPoints.map((one) => ({
        name,
        attributes: one.attributes,
        value: Number(one.asDouble ?? one.asInt ?? one.count ?? 0),
      })) ?? [],
  );
}
