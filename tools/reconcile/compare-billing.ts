import { setTimeout as delay } from 'node:timers/promises';
import type Stripe from 'stripe';
import { listMissingEvents } from '../../shared/domains/billing/events/find-missed-events.ts';
import { stripeReconcile } from '../../shared/domains/billing/events/reconcile-job.ts';
import { findLostPlans, openPlanAgain } from '../../shared/domains/billing/find-lost-plans.ts';
import { bookLostUnits, findLostUnits } from '../../shared/domains/billing/metering/lost-windows.ts';
import { billedTenants } from '../../shared/domains/billing/metering/compare-ledger.ts';
import { stripeInBackground } from '../../shared/domains/billing/stripe/client.ts';
import { findStaleBilling, refreshBilling } from '../../shared/domains/tenancy/refresh-billing.ts';
import { PLATFORM_TENANT } from '../../shared/platform/auth/principal.ts';
import { runJob } from '../../shared/platform/jobs/job.ts';
import { writePosition } from '../../shared/platform/jobs/watermarks.ts';
import { ACTOR, type Scope } from './scope.ts';

/** Each run does a part of the work, and ends within a minute. */
const RUNS_MAX = 300;
const AGAIN_MS = 1_000;

/**
 * Compares billing with Stripe and with core. In this order: what Stripe knows comes back first, because plans, allowances and
 * meters follow from it; then the use that Stripe was told of; then what core knows of billing.
 */
export async function compareBilling(scope: Scope): Promise<void> {
  await compareTenants(scope);
  if (scope.services.settings.STRIPE_SECRET_KEY !== undefined) {
    const stripe = await stripeInBackground(scope.services.settings);
    await catchUpWithStripe(scope, stripe);
    await compareUnits(scope, stripe);
    await comparePlans(scope, stripe);
  } else await comparePlans(scope, undefined);
  await compareStandings(scope);
}

async function compareTenants({ services, findings, tenants, erased }: Scope): Promise<void> {
  const own = new Set(tenants.map(({ tenantId }) => tenantId));
  for (const tenantId of await billedTenants(services.crossTenant.billing))
    if (!own.has(tenantId) && !erased.has(tenantId))
      findings.add('tenant_ahead', tenantId, [{ store: 'billing' }]);
}

/**
 * The job remembers in core how far it has read Stripe's events, which it stores in billing. When billing is older than core, the
 * events in between would never be read again.
 */
async function catchUpWithStripe(scope: Scope, stripe: Stripe): Promise<void> {
  const { services, findings, moments, mend } = scope;
  if (moments.billing === undefined) return;
  const { core, billing } = services.crossTenant;
  const missing = await listMissingEvents(billing, stripe, moments.billing);
  if (mend) {
    // Also without missing events: the day's comparison of objects may be done, and would not come again today.
    await writePosition(core, stripeReconcile.name, {});
    await runToEnd(scope);
    await scope.waitUntilQuiet();
  }
  findings.add(
    'stripe_behind',
    null,
    missing.map((id) => ({ stripe_event_id: id })),
    { mended: mend },
  );
}

/** Runs the job until it has nothing left. A timer may run it at the same moment. */
async function runToEnd({ services }: Scope): Promise<void> {
  for (let run = 0; run < RUNS_MAX; run++) {
    const { status } = await runJob(services, stripeReconcile, { triggeredBy: ACTOR });
    if (status === 'completed') return;
    await delay(AGAIN_MS);
  }
  throw new Error('Stripe does not answer, or the job stripe-reconcile does not end');
}

async function compareUnits({ services, findings, mend, now }: Scope, stripe: Stripe): Promise<void> {
  const { billing } = services.crossTenant;
  const lost = mend ? await bookLostUnits(billing, stripe, now) : await findLostUnits(billing, stripe, now);
  for (const { tenantId, usageType, units } of lost)
    findings.add('units_ahead', tenantId, [{ usage_type: usageType, units }], {
      mended: mend,
      amounts: { [usageType]: units },
    });
}

/**
 * A plan that an operator gave has no other copy than core's, as long as core is the newer one. A plan that was bought comes back
 * from Stripe.
 */
async function comparePlans(scope: Scope, stripe: Stripe | undefined): Promise<void> {
  const { services, findings, tenants, moments, mend, now } = scope;
  const { billing: moment, core } = moments;
  if (moment === undefined || (core !== undefined && core < moment)) return;
  const { billing } = services.crossTenant;
  const own = tenants.filter(({ tenantId }) => tenantId !== PLATFORM_TENANT);
  const lost = await findLostPlans(billing, own);
  const customers = lost.length === 0 || stripe === undefined ? new Set() : await tenantsOfCustomers(stripe);
  for (const one of lost) {
    if (customers.has(one.tenantId)) continue;
    if (mend) await openPlanAgain(billing, one, now);
    findings.add('plan_lost', one.tenantId, [{ plan_id: one.planId }], { mended: mend });
  }
}

async function tenantsOfCustomers(stripe: Stripe): Promise<ReadonlySet<string>> {
  const tenants = new Set<string>();
  for await (const { metadata } of stripe.customers.list({ limit: 100 })) {
    const { tenant_id: tenantId } = metadata;
    if (tenantId !== undefined) tenants.add(tenantId);
  }
  return tenants;
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
