import { z } from 'zod';
import { unit } from '../../platform/http/fields.ts';
import { COUNT_MAX } from '../orchestration/measure.ts';

// Why each kind has only one direction of operators: no data must raise no alert. So counts and amounts, which are 0 without data,
// are only compared upwards with more than 0; means and shares have no value without data.

const above = z.enum(['gt', 'gte']);
const below = z.enum(['lt', 'lte']);
const windowMinutes = z
  .number()
  .int()
  .min(5)
  .max(1440)
  .describe('The length of the window, which ends at the evaluation.');
const minSamples = z
  .number()
  .int()
  .min(1)
  .max(1_000)
  .default(1)
  .describe('With fewer in the window, nothing is concluded: no alert is raised, and an open one stays.');
const judged = { window_minutes: windowMinutes, min_samples: minSamples };
const usageType = z.string().min(1).max(100);
const count = z.number().int().min(1).max(COUNT_MAX);

/** What an alert is raised by. `type` decides what is measured; the other fields are that measure's. */
export const alertCondition = z.discriminatedUnion('type', [
  z
    .strictObject({
      type: z.literal('usage_share'),
      usage_type: usageType,
      operator: above,
      threshold: z.number().min(0.001).max(100),
    })
    .describe('The share of the limit that the running period has used. 1 is all of it.'),
  z
    .strictObject({
      type: z.literal('usage_amount'),
      usage_type: usageType,
      usage_unit: z.string().min(1).max(50).default('count'),
      operator: above,
      threshold: z.number().min(1e-9).max(1e12),
      window_hours: z.number().int().min(1).max(744),
    })
    .describe('What was used in the running hour of UTC and those before it, `window_hours` in all.'),
  z
    .strictObject({ type: z.literal('coverage_mean'), operator: below, threshold: unit, ...judged })
    .describe('The mean coverage of the finished orchestrations.'),
  z
    .strictObject({
      type: z.literal('coverage_share'),
      coverage_below: unit.describe('An orchestration counts if its coverage is less.'),
      operator: above,
      threshold: unit,
      ...judged,
    })
    .describe('The share of the finished orchestrations whose coverage is too low.'),
  z
    .strictObject({ type: z.literal('confidence_mean'), operator: below, threshold: unit, ...judged })
    .describe('The mean confidence of the answered mappings.'),
  z
    .strictObject({ type: z.literal('review_share'), operator: above, threshold: unit, ...judged })
    .describe('The share of the answered mappings that needed a review, whatever came of it.'),
  z
    .strictObject({
      type: z.literal('failure_count'),
      operator: above,
      threshold: count,
      window_minutes: windowMinutes,
    })
    .describe('How many orchestrations failed or are partial.'),
  z
    .strictObject({ type: z.literal('failure_share'), operator: above, threshold: unit, ...judged })
    .describe('The share of the finished orchestrations that failed or are partial.'),
  z
    .strictObject({
      type: z.literal('detector_failure_count'),
      operator: above,
      threshold: count,
      window_minutes: windowMinutes,
    })
    .describe('How many tries of detectors failed, timed out or were unavailable.'),
]);
export type AlertCondition = z.output<typeof alertCondition>;

/** Whether a value meets a condition. */
export function isMet({ operator, threshold }: AlertCondition, value: number): boolean {
  switch (operator) {
    case 'gt':
      return value > threshold;
    case 'gte':
      return value >= threshold;
    case 'lt':
      return value < threshold;
    case 'lte':
      return value <= threshold;
    default:
      return operator satisfies never;
  }
}
