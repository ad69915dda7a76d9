import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { CrossTenantDatabases } from '../../../platform/call/call.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { HOUR_MS } from '../../../platform/time/clock.ts';
import { fateSql, type ExpiringTable } from '../../retention/expiring-table.ts';

/** `records-expire` runs once a day. An hour later, what had expired before its run should be gone. */
const OVERDUE_MS = 25 * HOUR_MS;
/** Rows at each end. The first ones may all be under a hold; then the last ones tell whether the job runs. */
const PAGE = 500;

/** Expired records that nothing keeps and that should be deleted by now, among the first and the last expired ones. */
export function overdueOf(of: ExpiringTable): CountOverdue {
  return ({ crossTenant }, now) => countOverdue(crossTenant.core, of, now);
}

type CountOverdue = (
  services: { readonly crossTenant: Pick<CrossTenantDatabases, 'core'> },
  now: Date,
) => Promise<number>;

async function countOverdue(core: CrossTenantDatabase, of: ExpiringTable, now: Date): Promise<number> {
  const { table, idColumn } = of;
  const page = (order: 'asc' | 'desc'): string =>
    `(select * from ${table} where expires_at <= $1 order by expires_at ${order}, ${idColumn} ${order} limit ${PAGE})`;
  const [row] = await inBatch(core, (transaction) =>
    transaction.query<{ overdue: number }>(
      `with page as materialized (${page('asc')} union ${page('desc')})
       select count(*) filter (where ${fateSql(of)} in ('expired', 'not_archived')) as overdue from page t`,
      [new Date(now.getTime() - OVERDUE_MS)],
      { prepare: false },
    ),
  );
  return row?.overdue ?? 0;
}
