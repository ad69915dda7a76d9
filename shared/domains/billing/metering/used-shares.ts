import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';

/** A tenant's limit of one type of usage. */
export interface TenantLimit {
  readonly tenant_id: string;
  readonly usage_type: string;
}

const LIMITS = recordset({ n: 'int', tenant_id: 'text', usage_type: 'text' });

/**
 * The share of each limit that the running period has used, reserved usage included, in the order of the limits. Of several periods,
 * the largest share. Null without such a limit, and for a period that is over and not yet reset.
 */
export async function readUsedShares(
  billing: CrossTenantDatabase,
  limits: readonly TenantLimit[],
  now: Date,
): Promise<(number | null)[]> {
  const rows = await inBatch(billing, (transaction) =>
    transaction.query<{ share: number | null }>(
      `select s.share from ${LIMITS.from('l', 2)}
        cross join lateral (
          select max((f.current_usage + f.reserved) / f.usage_limit)::float8 as share from free_tier_usage f
           where f.tenant_id = l.tenant_id and f.user_id = '' and f.usage_type = l.usage_type
             and f.mode <> 'none' and f.usage_limit > 0 and f.next_reset_at > $1) s
       order by l.n`,
      [
        now,
        ...LIMITS.parameters(limits.map(({ tenant_id, usage_type }, n) => ({ n, tenant_id, usage_type }))),
      ],
    ),
  );
  return rows.map((row) => row.share);
}
