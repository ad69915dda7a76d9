import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { readMetricsText } from '../../shared/domains/operations/read-metrics.ts';

/** The operators' view of a process's metrics. */
export const platformMetricsEndpoints = [
  endpoint({
    name: 'platform-metrics-read',
    method: 'GET',
    path: 'v1/platform/metrics',
    tag: 'platform',
    summary: 'Read the metrics of the instance that answers, as Prometheus text',
    description:
      'Each instance counts its own requests. The gauges of outboxes, queues and jobs are measured once for all instances.',
    permission: 'platform:operate',
    responses: { 200: { description: 'The metrics, in text format 0.0.4.', contentType: 'text/plain' } },
    run: readMetricsText,
  }),
];
