import type { CheckContext } from '../../../platform/resources/resource.ts';
import type { ResourceRow } from '../../../platform/resources/resource.ts';
import { addToOutbox } from '../../../platform/writes/outbox.ts';
import { canonicalJson } from '../../../platform/json/canonical-json.ts';
import { billingChanged } from '../subscriptions/billing-changed.ts';
import { liveSql } from '../subscriptions/live-states.ts';

/** What other domains know of a tenant's plan follows from these. */
const TOLD = ['plan_type', 'limits', 'limit_policies', 'allowances'] as const;

/**
 * Tells the other domains of every tenant whose plan now limits it differently, in the transaction of the change. A tenant is on a plan by
 * its live subscription; without one it is on a plan of the type `free`.
 */
export async function tellTenants(
  { before, after }: { readonly before: ResourceRow | undefined; readonly after: ResourceRow },
  { call, transaction }: CheckContext,
): Promise<void> {
  const isSame = (field: string): boolean =>
    canonicalJson(before?.[field] ?? null) === canonicalJson(after[field] ?? null);
  // A new plan has no tenants.
  if (before === undefined || TOLD.every(isSame)) return;
  const isFree = before['plan_type'] === 'free' || after['plan_type'] === 'free';
  const tenants = await transaction.query<{ tenant_id: string }>(
    `select tenant_id from user_subscriptions where plan_id = $1 and ${liveSql()}
     union
     select f.tenant_id from free_tier_usage f
      where $2::boolean
        and not exists (select from user_subscriptions s where s.tenant_id = f.tenant_id and ${liveSql('s')})`,
    [String(after['plan_id']), isFree],
  );
  const entries = tenants.map(({ tenant_id: tenantId }) => billingChanged(tenantId, call.now));
  await addToOutbox(transaction, entries);
}
