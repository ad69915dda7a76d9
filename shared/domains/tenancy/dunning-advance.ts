import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { Job } from '../../platform/jobs/job.ts';
import { refreshBilling } from './refresh-billing.ts';

/** Tenants whose rows are locked together while billing is read. */
const BATCH = 100;
/** A batch takes less than this. With less time left, the next run continues. */
const RESERVE_MS = 5_000;

/** A tenant whose grace is over. */
interface DueTenant {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly ends_at: string;
}

/**
 * Writes what the clock has decided: a tenant whose grace is over reads only. Requests see that at once, with or without this job;
 * it brings the tenant's row and audit trail up to date. If the days of grace were changed meanwhile, the new end counts.
 */
export const dunningAdvance: Job = {
  name: 'dunning-advance',
  budgetMs: 4 * 60_000,
  async run(run) {
    const { core } = run.services.crossTenant;
    run.progress.cutoff = run.now;
    let after: DueTenant | undefined;
    let changed = 0;
    while (run.timeLeftMs() > RESERVE_MS) {
      const due = await findDue(core, run.now, after);
      if (due.length > 0)
        changed += await refreshBilling(
          run.services,
          due.map((row) => row.tenant_id),
          'job:dunning-advance',
          run.now,
        );
      run.progress.examined += due.length;
      run.progress.details['tenants_changed'] = changed;
      after = due.at(-1);
      if (due.length < BATCH) return 'completed';
    }
    return 'partial';
  },
};

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
