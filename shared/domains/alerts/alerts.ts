import { z } from 'zod';
import { newId } from '../../platform/ids/ids.ts';
import { uuid } from '../../platform/ids/uuid.ts';
import { SEVERITIES } from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';
import { DAY_MS } from '../../platform/time/clock.ts';
import { alertCondition } from './conditions.ts';

/** The states of an alert, in their order. */
const ALERT_STATES = ['triggered', 'acknowledged', 'resolved'] as const;
/** Why an alert is over. */
const RESOLUTIONS = ['recovered', 'by_person', 'config_deleted', 'config_inactive'] as const;

/** Resolved alerts are kept for a year and a month: last year's can be compared. For the sweep of old rows. */
export const RESOLVED_ALERTS = {
  table: 'alert_history',
  timeColumn: 'resolved_at',
  condition: `status = 'resolved'`,
  keptMs: 400 * DAY_MS,
} as const;

/** What was raised, and what came of it. Only the evaluator makes rows. */
export const alerts = declareResource({
  name: 'alerts',
  one: 'alert',
  description:
    'The alerts that were raised by the tenant’s configurations: triggered, acknowledged, resolved. At most one alert of a configuration is open; it is resolved by a person, or when its condition no longer holds.',
  database: 'analytics',
  table: 'alert_history',
  person: { acknowledged_by: 'pseudonym', resolved_by: 'pseudonym' },
  idColumn: 'alert_id',
  timeField: 'triggered_at',
  versioned: false,
  scope: 'tenant',
  verbs: ['list', 'read'],
  permissions: { read: 'alerts:read' },
  body: z.strictObject({}),
  readOnly: {
    config_id: uuid,
    config_name: z.string().describe('The configuration’s name at that time.'),
    condition: alertCondition.describe('The condition at that time.'),
    severity: z.enum(SEVERITIES),
    status: z.enum(ALERT_STATES),
    measured_value: z.number().describe('What was measured when it was raised.'),
    sample_count: z.number().int().nullable().describe('By how many rows. Null for usage.'),
    triggered_at: z.string(),
    acknowledged_at: z.string().nullable(),
    acknowledged_by: z.string().nullable(),
    resolved_at: z.string().nullable(),
    resolved_by: z.string().nullable().describe('Null if no person resolved it.'),
    resolution: z.enum(RESOLUTIONS).nullable(),
  },
  filters: { status: z.enum(ALERT_STATES), severity: z.enum(SEVERITIES), config_id: uuid },
  sample: ({ unique }) => ({
    config_id: newId(),
    config_name: unique,
    condition: {
      type: 'coverage_mean',
      operator: 'lt',
      threshold: 0.8,
      window_minutes: 60,
      min_samples: 10,
    },
    severity: 'high',
    status: 'triggered',
    measured_value: 0.5,
    sample_count: 12,
    triggered_at: '2026-01-01T10:00:00.123456Z',
  }),
});

/** `{alert_id}` in a path. */
export const alertParams = z.object({ alert_id: uuid });
