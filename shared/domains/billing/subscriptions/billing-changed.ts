import { BILLING_CHANGED, newEvent, type BillingChangedData } from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { newEntry } from '../../../platform/writes/outbox.ts';

/**
 * The outbox row that tells other domains of a change in a tenant's billing: its plan, its limits or its standing. Add it in the
 * transaction of the change. They read what is then true, so any number of them in any order does no harm.
 */
export function billingChanged(tenantId: string, now: Date): OutboxEntry {
  const data: BillingChangedData = { tenant_id: tenantId };
  return newEntry('billing', tenantId, [newEvent(BILLING_CHANGED, data, now)], now);
}
