import { z } from 'zod';
import {
  metricBucket,
  metricPoint,
  METRICS_BODY_LIMIT,
  metricsQuery,
  metricsWritten,
  newMetrics,
} from '../../shared/domains/analysis/metric-schemas.ts';
import { readMetrics } from '../../shared/domains/analysis/read-metrics.ts';
import { writeMetrics } from '../../shared/domains/analysis/write-metrics.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

export const analysisMetricsEndpoints = [
  endpoint({
    name: 'analysis-metrics-create',
    method: 'POST',
    path: 'v1/analysis-metrics',
    tag: 'analysis-metrics',
    summary: 'Write up to 500 points of metric series, all or none',
    permission: 'metrics:write',
    body: newMetrics,
    bodyLimit: METRICS_BODY_LIMIT,
    responses: { 201: { description: 'Written.', schema: metricsWritten, headers: ['Location'] } },
    run: (call, { body }) => writeMetrics(call, body),
  }),
  endpoint({
    name: 'analysis-metrics-list',
    method: 'GET',
    path: 'v1/analysis-metrics',
    tag: 'analysis-metrics',
    summary: 'Read points of metric series, or a series added up by hour, day, week or month',
    permission: 'metrics:read',
    query: metricsQuery,
    responses: {
      200: {
        description: 'A page of points or, with `bucket`, of buckets.',
        schema: z.union([pageOf(metricPoint), pageOf(metricBucket)]),
        headers: ['Link'],
      },
    },
    run: (call, { query, url }) => readMetrics(call, query, url),
  }),
];
