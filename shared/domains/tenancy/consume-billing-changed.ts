import { BILLING_CHANGED, billingChangedData, type BillingChangedData } from '../../platform/bus/events.ts';
import type { EventConsumer } from '../../platform/consume/event-consumer.ts';
import { ensureAllowances } from '../billing/metering/adjust-allowances.ts';
import { refreshBilling } from './refresh-billing.ts';

/** An event says only that something has changed, so an old one is as good as a new one. */
const MAX_AGE_DAYS = 400;

/** Brings what every request knows of its tenant's billing up to date. */
export const billingChangedConsumer: EventConsumer<BillingChangedData> = {
  type: BILLING_CHANGED,
  schema: billingChangedData,
  maxAgeDays: MAX_AGE_DAYS,
  write: async (services, events, now) => {
    const tenantIds = new Set(events.map(({ tenant }) => tenant.tenantId));
    // First: once requests know of a plan with a quota, its allowances are there.
    for (const tenantId of tenantIds)
      await ensureAllowances(services.crossTenant.billing, { tenantId, hasQuota: true }, now);
    await refreshBilling(services, [...tenantIds], 'service:billing-changes', now);
  },
};
