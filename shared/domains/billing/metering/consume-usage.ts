import { rollUpUsage } from '../../analytics/roll-up-usage.ts';
import type { EventConsumer, TenantEvent } from '../../../platform/consume/event-consumer.ts';
import { eventRowId } from '../../../platform/bus/event-row-id.ts';
import { EVENT_SOURCE, USAGE_RECORDED, usageData, type UsageData } from '../../../platform/bus/events.ts';
import { firstOfEach } from '../../../platform/consume/same-event.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { SingleFlightCache } from '../../../platform/cache/single-flight-cache.ts';
import { ensureAllowances } from './adjust-allowances.ts';
import { ensureUserAllowances, userAllowances, type MadeAllowances } from './user-allowances.ts';
import { writeUsage } from './write-usage.ts';

/** A year's invoice and a month to dispute it. Older usage is not billed. */
const MAX_AGE_DAYS = 400;

/** Counts usage events: first in the billing ledger and the allowances, then in the analytics roll-ups. */
export const usageConsumer: EventConsumer<UsageData> = {
  type: USAGE_RECORDED,
  schema: usageData,
  maxAgeDays: MAX_AGE_DAYS,
  async write(services, events, now, tally) {
    const { billing, analytics } = services.crossTenant;
    await makeAllowances(billing, events, now);
    const usage = firstOfEach(events).map(usageOf);
    const { caused, fresh } = await writeUsage(billing, usage, now);
    if (tally !== undefined) tally.duplicates = events.length - fresh;
    for (const entry of caused) services.publisher.publish(entry);
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
    // Only this service makes reservations, so only its events can settle one.
    reservation_id: source === EVENT_SOURCE ? (data.reservation_id ?? null) : null,
  };
}

/** How long this process takes a tenant's allowances for made. A change of plan makes new ones at once, wherever it is noticed. */
const MADE_MS = 60_000;
const MADE_MAX = 10_000; // limits memory: at this size all are forgotten
const made = new WeakMap<CrossTenantDatabase, SingleFlightCache<MadeAllowances>>();

/** A tenant's first usage may come from the bus, before a request has made its allowances. */
async function makeAllowances(
  billing: CrossTenantDatabase,
  events: readonly TenantEvent<UsageData>[],
  now: Date,
): Promise<void> {
  let known = made.get(billing);
  if (known === undefined) {
    known = new SingleFlightCache({ ttlMs: MADE_MS, max: MADE_MAX });
    made.set(billing, known);
  }
  const tenants = new Map(events.map(({ tenant }) => [tenant.tenantId, tenant]));
  for (const [tenantId, tenant] of tenants) {
    const allowances = await known.find(tenantId, async () => {
      await ensureAllowances(billing, tenant, now);
      return userAllowances(billing, tenantId);
    });
    if (allowances.each.length === 0) continue;
    const users = events.flatMap(({ tenant: own, data: { user_id: user = '' } }) =>
      own.tenantId === tenantId && user !== '' ? [user] : [],
    );
    await ensureUserAllowances(billing, allowances, users, now);
  }
}
