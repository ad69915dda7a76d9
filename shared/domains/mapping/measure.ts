import { inBatch } from '../../platform/db/batch-transaction.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** The most mappings that a window is judged by, the newest. More would say little more, and cost much. */
const SAMPLE_MAX = 1_000;

/** A tenant's mappings of a time: after `from`, up to `to`. */
export interface MappingWindow {
  readonly tenant_id: string;
  readonly from: Date;
  readonly to: Date;
}

/** The answered mappings of a window. */
export interface MappingMeasure {
  readonly answered: number;
  /** Null if none is answered. */
  readonly mean_confidence: number | null;
  /** How many needed a review, whatever came of it. */
  readonly reviews: number;
}

const WINDOWS = recordset({ n: 'int', tenant_id: 'text', from_at: 'timestamptz', to_at: 'timestamptz' });

/**
 * Measures windows of several tenants, in their order. Of each, the newest {@link SAMPLE_MAX} mappings by the time of their request
 * are read; those without a response do not count.
 */
export function measureMappings(
  core: CrossTenantDatabase,
  windows: readonly MappingWindow[],
): Promise<MappingMeasure[]> {
  const rows = windows.map(({ tenant_id, from, to }, n) => ({ n, tenant_id, from_at: from, to_at: to }));
  return inBatch(core, (transaction) =>
    transaction.query<MappingMeasure & Record<string, unknown>>(
      `select m.* from ${WINDOWS.from('w', 1)}
        cross join lateral (
          select count(*)::int as answered, avg(p.confidence) as mean_confidence, count(q.review_status)::int as reviews
            from (select q.request_id, q.review_status from mapper_requests q
                   where q.tenant_id = w.tenant_id and q.created_at > w.from_at and q.created_at <= w.to_at
                   order by q.created_at desc, q.request_id desc limit ${SAMPLE_MAX}) q
            join mapper_responses p on p.tenant_id = w.tenant_id and p.request_id = q.request_id) m
       order by w.n`,
      WINDOWS.parameters(rows),
    ),
  );
}
