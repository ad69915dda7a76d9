import { z } from 'zod';
import type { Context } from '../api/context.ts';
import { parseParams } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { withoutUndefined } from '../api/without-undefined.ts';
import type { NoteKind } from '../store/store.ts';

const settingsSchema = z.strictObject({
  /** What becomes of a subscription whose last retry has failed. Stripe's dashboard has this setting. */
  after_last_retry: z.enum(['cancel', 'past_due', 'unpaid']),
  /** Days from each failed attempt to the next. */
  retry_days: z.array(z.number().min(0)),
  /** Days before a renewal at which `invoice.upcoming` tells of it. */
  upcoming_days: z.number().min(0),
});

export type BillingSettings = z.output<typeof settingsSchema>;

const DEFAULTS: BillingSettings = { after_last_retry: 'cancel', retry_days: [3, 5, 7], upcoming_days: 7 };

const BILLING_SETTINGS: NoteKind<BillingSettings> = { name: 'billing_settings', schema: settingsSchema };

export function billingSettings({ store }: Pick<Context, 'store'>): BillingSettings {
  return store.getNote(BILLING_SETTINGS, 'account') ?? DEFAULTS;
}

/** What an account sets in Stripe's dashboard, as a control. */
export const settings: Part = {
  controls: [
    {
      method: 'POST',
      path: '/_stand-in/billing-settings',
      access: 'secret',
      run: (standIn, { body }) => {
        const given = parseParams(settingsSchema.partial(), body);
        return {
          json: standIn.perform(null, (context) => {
            const after = { ...billingSettings(context), ...withoutUndefined(given) };
            context.store.putNote(BILLING_SETTINGS, 'account', after);
            return after;
          }),
        };
      },
    },
    {
      method: 'GET',
      path: '/_stand-in/billing-settings',
      access: 'secret',
      run: (standIn) => ({ json: billingSettings(standIn) }),
    },
  ],
};
