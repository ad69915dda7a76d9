import { z } from 'zod';
import { pageQuery } from '../../../platform/http/pagination.ts';
import { uuid } from '../../../platform/ids/uuid.ts';

const status = z.enum(['pending', 'sent', 'refused', 'unknown']);

/** `GET /platform/billing/meter-windows`. */
export const meterWindowsQuery = z.object({ ...pageQuery, status: status.optional() });

/** A part of a tenant's billable use, as it was reported to Stripe. */
export const meterWindow = z.object({
  window_id: uuid.describe('The identifier of the meter event at Stripe.'),
  tenant_id: z.string(),
  usage_type: z.string(),
  period_start: z.string(),
  period_end: z.string(),
  amount: z.string().describe('Whole units beyond the limit that no earlier window has.'),
  status: status.describe(
    '`refused`: Stripe refused it, or could not charge it. `unknown`: it was sent, and whether Stripe has it could not be found out.',
  ),
  event_name: z.string(),
  reported_at: z.string().nullable().describe('The time that Stripe was told, which decides the invoice.'),
  sent_at: z.string().nullable(),
  attempts: z.number(),
  error: z
    .string()
    .nullable()
    .describe('Stripe’s code; or `too_old`, `subscription_ended`, `not_to_be_found_out`.'),
  created_at: z.string(),
});
export type MeterWindow = z.output<typeof meterWindow>;
