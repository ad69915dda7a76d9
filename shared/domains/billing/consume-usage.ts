import { rollUpUsage } from '../analytics/roll-up-usage.ts';
import type { EventConsumer, TenantEvent } from '../../platform/consume/event-consumer.ts';
import { eventRowId } from '../../platform/bus/event-row-id.ts';
import { EVENT_SOURCE, USAGE_RECORDED, usageData, type UsageData } from '../../platform/bus/events.ts';
import { firstOfEach } from '../../platform/consume/same-event.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { ensureAllowances } from './free-tier.ts';
import { isFreePlan } from './plans.ts';
import { recordUsage } from './record-usage.ts';

/** A year's invoice and a month to dispute it: what is older is not billed any more. */
const MAX_AGE_DAYS = 400;

/** What becomes of usage events: the billing ledger and the allowances first, then the analytics roll-ups. */
export const usageConsumer: EventConsumer<UsageData> = {
  type: USAGE_RECORDED,
  schema: usageData,
  maxAgeDays: MAX_AGE_DAYS,
  async write(services, events, now) {
    const { billing, analytics } = services.crossTenant;
    await makeAllowances(billing, events, now);
    const usage = firstOfEach(events).map(usageOf);
    await recordUsage(billing, usage, now);
    await rollUpUsage(analytics, usage, now);
  },
};

function usageOf({ id, source, time, at, data, tenant }: TenantEvent<UsageData>) {
  return {
    tenant_id: tenant.tenantId,
    id: eventRowId({ tenantId: tenant.tenantId, source, id, at }),
    source,
    event_id: id,
    user_id: data.user_id ?? '',
    subscription_id: data.subscription_id ?? null,
    usage_type: data.usage_type,
    amount: data.usage_amount,
    unit: data.usage_unit,
    resource_type: data.resource_type ?? null,
    resource_id: data.resource_id ?? null,
    at: time,
    // Only what this service admitted can be settled.
    reservation_id: source === EVENT_SOURCE ? (data.reservation_id ?? null) : null,
  };
}

/** Tenants whose allowances this process has seen made; asking again would do nothing. */
const made = new WeakMap<CrossTenantDatabase, Set<string>>();
const MADE_MAX = 10_000; // a bound on memory: past it, all is forgotten

/** A free tenant's first usage may come from the bus, before any request of its own made its allowances. */
async function makeAllowances(
  billing: CrossTenantDatabase,
  events: readonly TenantEvent<UsageData>[],
  now: Date,
): Promise<void> {
  let known = made.get(billing);
  if (known === undefined || known.size > MADE_MAX) {
    known = new Set();
    made.set(billing, known);
  }
  for (const { tenant } of events) {
    if (known.has(tenant.tenantId) || !isFreePlan(tenant.planId)) continue;
    await ensureAllowances(billing, tenant.tenantId, now);
    known.add(tenant.tenantId);
  }
}
