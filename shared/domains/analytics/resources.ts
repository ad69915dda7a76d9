import { z } from 'zod';
import { freeForm, instant } from '../../platform/http/fields.ts';
import { optionalText } from '../../platform/resources/field-schemas.ts';
import { declareResource, type Resource } from '../../platform/resources/resource.ts';

const metricName = z.string().min(1).max(200);
const granularity = z.enum(['hour', 'day']);

/** Far above any real figure. Small enough that no sum or mean of a series leaves a double's range. */
const VALUE_MAX = 1e100;

/** Usage by hour and by day, summed up from usage events. Only the roll-up writes it; the current period still grows. */
const usageMetrics = declareResource({
  name: 'usage-metrics',
  one: 'usage metric',
  description:
    'Usage summed up by hour and day, for dashboards. It follows the ledger of usage by some seconds and bills nothing.',
  database: 'analytics',
  table: 'usage_metrics',
  idColumn: 'id',
  timeField: 'period_start',
  versioned: false,
  scope: 'tenant',
  verbs: ['list', 'read'],
  permissions: { read: 'usage:read' },
  body: z.strictObject({}),
  readOnly: {
    metric_name: metricName,
    granularity,
    period_start: z.string().describe('When the hour or the day, in UTC, begins.'),
    metric_unit: z.string(),
    metric_value: z.number(),
    event_count: z.number().int(),
    updated_at: z.string(),
  },
  filters: { metric_name: metricName, granularity },
  sample: ({ unique }) => ({
    metric_name: unique,
    granularity: 'hour',
    period_start: '2026-01-01T10:00:00Z',
    metric_unit: 'count',
    metric_value: 12.5,
    event_count: 3,
    updated_at: '2026-01-01T10:30:00Z',
  }),
});

/** What a service measured about itself. A point is written once and never changed. */
const performanceMetrics = declareResource({
  name: 'performance-metrics',
  one: 'performance metric',
  description:
    'How fast and how reliably the services worked. Each row is one measure over one span of time.',
  database: 'analytics',
  table: 'performance_metrics',
  idColumn: 'id',
  timeField: 'measured_at',
  versioned: false,
  scope: 'tenant',
  verbs: ['create', 'list', 'read'],
  permissions: { read: 'metrics:read', write: 'metrics:write' },
  body: z.strictObject({
    service_name: metricName,
    metric_name: metricName,
    metric_value: z.number().min(-VALUE_MAX).max(VALUE_MAX),
    metric_unit: optionalText(50),
    instance_id: optionalText(200),
    measured_at: instant.describe('When it was measured.'),
    metadata: freeForm.default({}),
  }),
  filters: { service_name: metricName, metric_name: metricName, instance_id: z.string().min(1).max(200) },
  sample: ({ unique }) => ({
    service_name: 'mapper',
    metric_name: unique,
    metric_value: 41.5,
    metric_unit: 'ms',
    instance_id: 'mapper-0',
    measured_at: '2026-01-01T10:00:00.123456Z',
  }),
});

/** The domain's declared resources; its routes and their tests follow from this list. */
export const analyticsResources: readonly Resource[] = [usageMetrics, performanceMetrics];
