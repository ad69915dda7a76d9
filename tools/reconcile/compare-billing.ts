import { stripeReconcile } from '../../shared/domains/billing/events/reconcile-job.ts';
import { reconcilePosition } from '../../shared/domains/billing/events/reconcile-position.ts';
import { findLostPlans, openPlanAgain } from '../../shared/domains/billing/find-lost-plans.ts';
import { bookLostUnits, findLostUnits } from '../../shared/domains/billing/metering/lost-windows.ts';
import { billedTenants } from '../../shared/domains/billing/metering/compare-ledger.ts';
import { stripeInBackground } from '../../shared/domains/billing/stripe/client.ts';
import { findStaleBilling, refreshBilling } from '../../shared/domains/tenancy/refresh-billing.ts';
import { runJob } from '../../shared/platform/jobs/job.ts';
import { readPosition, writePosition } from '../../shared/platform/jobs/watermarks.ts';
import { ACTOR, type Scope } from './scope.ts';

/** A job that never ends would be a bug; each run does a part of its work. */
const RUNS_MAX = 1_000;

/**
 * Compares billing with Stripe and with core. In this order: what Stripe knows comes back first, because plans, allowances and
 * meters follow from it; then the use that Stripe was told of; then what core knows of billing.
 */
export async function compareBilling(scope: Scope): Promise<void> {
  await compareTenants(scope);
  if (scope.services.settings.STRIPE_SECRET_KEY !== undefined) {
    await catchUpWithStripe(scope);
    await compareUnits(scope);
  }
  await comparePlans(scope);
  await compareStandings(scope);
}

async function compareTenants({ services, findings, tenants }: Scope): Promise<void> {
  const own = new Set(tenants.map(({ tenantId }) => tenantId));
  for (const tenantId of await billedTenants(services.crossTenant.billing))
    if (!own.has(tenantId)) findings.add('tenant_ahead', tenantId, [{ store: 'billing' }]);
}

/**
 * The job remembers in core how far it has read Stripe's events, which it stores in billing. When billing is older than core, the
 * events in between would never be read again.
 */
async function catchUpWithStripe({ services, findings, moments, mend }: Scope): Promise<void> {
  const { billing: moment } = moments;
  if (moment === undefined) return;
  const { core } = services.crossTenant;
  const position = await readPosition(core, stripeReconcile.name, reconcilePosition);
  const isPast = (time: string | undefined): boolean => time !== undefined && new Date(time) > moment;
  const isAhead =
    isPast(position?.listed_at) ||
    isPast(position?.compared_at) ||
    (position?.events_until ?? 0) * 1000 > moment.getTime();
  if (mend) {
    // Also when the position is no later: the day's comparison of objects may be done, and does not come again today.
    await writePosition(core, stripeReconcile.name, {});
    for (let run = 0; run < RUNS_MAX; run++) {
      const { status } = await runJob(services, stripeReconcile, { triggeredBy: ACTOR });
      if (status === 'completed') break;
    }
  }
  if (isAhead) findings.add('stripe_position', null, [{ position: position ?? null }], { mended: mend });
}

async function compareUnits({ services, findings, mend, now }: Scope): Promise<void> {
  const { billing } = services.crossTenant;
  const stripe = await stripeInBackground(services.settings);
  const lost = mend ? await bookLostUnits(billing, stripe, now) : await findLostUnits(billing, stripe, now);
  for (const { tenantId, usageType, units } of lost)
    findings.add('units_ahead', tenantId, [{ usage_type: usageType, units }], {
      mended: mend,
      amounts: { [usageType]: units },
    });
}

/** A plan that an operator gave has no other copy than core's, as long as core is the newer one. */
async function comparePlans({ services, findings, tenants, moments, mend, now }: Scope): Promise<void> {
  const { billing: moment, core } = moments;
  if (moment === undefined || (core !== undefined && core < moment)) return;
  const { billing } = services.crossTenant;
  for (const lost of await findLostPlans(billing, tenants)) {
    if (mend) await openPlanAgain(billing, lost, now);
    findings.add('plan_lost', lost.tenantId, [{ plan_id: lost.planId }], { mended: mend });
  }
}

async function compareStandings({ services, findings, tenants, mend, now }: Scope): Promise<void> {
  const ids = tenants.map(({ tenantId }) => tenantId);
  const stale = await findStaleBilling(services, ids, now);
  if (mend)
    await refreshBilling(
      services,
      stale.map(({ tenantId }) => tenantId),
      ACTOR,
      now,
    );
  for (const { tenantId, kept, told } of stale)
    findings.add('standing_stale', tenantId, [{ core: kept, billing: told }], { mended: mend });
}
