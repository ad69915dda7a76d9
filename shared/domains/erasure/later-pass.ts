import { addDays } from '../../platform/time/clock.ts';
import { notePass } from './ledger.ts';
import { deleteListed } from './steps/blobs.ts';
import { emptyTables, eraseKeptByLaw } from './steps/rows.ts';
import { DATABASES, reportOf } from './steps/verify.ts';
import type { ErasureWork } from './work.ts';

/** A message of before can come this late: messages live for two weeks. */
export const WATCHED_DAYS = 15;

/**
 * Looks at an erased tenant once more: blobs whose immutability is over go, invoices that the law no longer wants, and rows that a late
 * message made. False if the run's time ended before. The last pass is the one that leaves nothing.
 */
export async function passOver(work: ErasureWork): Promise<boolean> {
  const { services, erasure, now, tables } = work;
  const isOver = (await emptyTables(work)) && (await deleteListed(work, now)) && (await eraseKeptByLaw(work));
  if (!isOver || erasure.report === null || erasure.finished_at === null) return false;
  const { cache_keys: cacheKeys, found } = erasure.report;
  const report = await reportOf(work, erasure, { cacheKeys, found });
  const byLaw = tables.filter(({ onErasure }) => onErasure !== 'delete' && onErasure.byLaw === true);
  const counts = await Promise.all(
    DATABASES.flatMap((database) =>
      byLaw
        .filter((one) => one.database === database)
        .map(async ({ table }) => {
          const [row] = await services.crossTenant[database].query<{ exists: boolean }>(
            `select exists (select from ${table} t where t.tenant_id = $1) as exists`,
            [erasure.tenant_id],
          );
          return row?.exists === true;
        }),
    ),
  );
  const isWatched = now < addDays(new Date(erasure.finished_at), WATCHED_DAYS);
  const isLast = report.blobs.remaining === 0 && !counts.includes(true) && !isWatched;
  await notePass(services.crossTenant.core, erasure, report, { now, isLast });
  return true;
}
