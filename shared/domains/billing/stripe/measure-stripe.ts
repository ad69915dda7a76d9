import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabases } from '../../../platform/call/call.ts';

/** How many are counted at most. */
const COUNTED_MAX = 1_000;

/** What waits for Stripe or for an operator: open mismatches, and stored events that are not processed yet. Up to 1,000 of each. */
export async function measureStripe(services: {
  readonly crossTenant: Pick<CrossTenantDatabases, 'billing'>;
}): Promise<{ readonly mismatches: number; readonly waiting: number }> {
  const [row] = await inBatch(services.crossTenant.billing, (transaction) =>
    transaction.query<{ mismatches: number; waiting: number }>(
      `select (select count(*) from (
               select 1 from ops.stripe_mismatches where resolved_at is null limit ${COUNTED_MAX}) m) as mismatches,
            (select count(*) from (
               select 1 from stripe_events where status = 'received' limit ${COUNTED_MAX}) e) as waiting`,
    ),
  );
  return { mismatches: row?.mismatches ?? 0, waiting: row?.waiting ?? 0 };
}
