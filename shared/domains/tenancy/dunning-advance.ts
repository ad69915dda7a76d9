import { releaseAbandonedUses } from '../billing/promotions/redemption.ts';
import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { Job, JobRun } from '../../platform/jobs/job.ts';
import { refreshBilling } from './refresh-billing.ts';

/** Tenants whose rows are locked together while billing is read. */
const BATCH = 100;
/** As many as `releaseAbandonedUses` gives back at most in one call. */
const USES_BATCH = 500;
/** A batch takes less than this. With less time left, the next run continues. */
const RESERVE_MS = 5_000;

/** A tenant whose grace is over. */
interface DueTenant {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly ends_at: string;
}

/**
 * Writes what the clock has decided. A tenant whose grace is over reads only: requests see that at once, with or without this job;
 * it brings the tenant's row and audit trail up to date. If the days of grace were changed meanwhile, the new end counts. Uses of
 * promotional codes whose checkout came to nothing are given back.
 */
export const dunningAdvance: Job = {
  name: 'dunning-advance',
  budgetMs: 4 * 60_000,
  async run(run) {
    run.progress.cutoff = run.now;
    const areEnded = await endGraces(run);
    const areReleased = await releaseUses(run);
    return areEnded && areReleased ? 'completed' : 'partial';
  },
};

/** False if the budget ended first. */
async function endGraces(run: JobRun): Promise<boolean> {
  const { services, now, progress } = run;
  let after: DueTenant | undefined;
  let changed = 0;
  while (run.timeLeftMs() > RESERVE_MS) {
    const due = await findDue(services.crossTenant.core, now, after);
    if (due.length > 0)
      changed += await refreshBilling(
        services,
        due.map((row) => row.tenant_id),
        'job:dunning-advance',
        now,
      );
    progress.examined += due.length;
    progress.details['tenants_changed'] = changed;
    after = due.at(-1);
    if (due.length < BATCH) return true;
  }
  return false;
}

/** False if the budget ended first. */
async function releaseUses(run: JobRun): Promise<boolean> {
  let released = 0;
  while (run.timeLeftMs() > RESERVE_MS) {
    const batch = await releaseAbandonedUses(run.services.crossTenant.billing, run.now);
    released += batch;
    run.progress.examined += batch;
    run.progress.details['uses_released'] = released;
    // Uses that another process has just settled are not counted, so a short batch may not be the last one; the next run takes it up.
    if (batch < USES_BATCH) return true;
  }
  return false;
}

/** The next tenants whose grace is over, in the order of its end. */
function findDue(core: CrossTenantDatabase, now: Date, after: DueTenant | undefined): Promise<DueTenant[]> {
  return inBatch(core, (transaction) =>
    transaction.query<DueTenant>(
      `select tenant_id, billing_grace_ends_at::text as ends_at from tenants
        where billing_standing = 'grace' and billing_grace_ends_at <= $1
          and (billing_grace_ends_at, tenant_id) > ($2::timestamptz, $3)
        order by billing_grace_ends_at, tenant_id limit ${BATCH}`,
      [now, after?.ends_at ?? '-infinity', after?.tenant_id ?? ''],
    ),
  );
}
