import { inBatch } from '../../platform/db/batch-transaction.ts';
import { recordset } from '../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';

/** The most rows that a window is judged by, the newest. More would say little more, and cost much. */
const SAMPLE_MAX = 1_000;
/** Failures are counted up to one more than this. */
export const COUNT_MAX = 1_000;

/** A tenant's orchestrations of a time: after `from`, up to `to`. */
export interface TenantWindow {
  readonly tenant_id: string;
  readonly from: Date;
  readonly to: Date;
}

/** The finished orchestrations of a window. */
export interface OrchestrationMeasure {
  readonly finished: number;
  /** Null if none is finished. */
  readonly mean_coverage: number | null;
  /** How many have less coverage than the window's `coverage_below`. */
  readonly below: number;
  /** How many failed, or are partial. */
  readonly failed: number;
}

const WINDOWS = recordset({
  n: 'int',
  tenant_id: 'text',
  from_at: 'timestamptz',
  to_at: 'timestamptz',
  coverage_below: 'float8',
});

const parametersOf = (windows: readonly (TenantWindow & { readonly coverage_below?: number })[]): string[] =>
  WINDOWS.parameters(
    windows.map(({ tenant_id, from, to, coverage_below = 0 }, n) => ({
      n,
      tenant_id,
      from_at: from,
      to_at: to,
      coverage_below,
    })),
  );

/**
 * Measures windows of several tenants, in their order. Of each, the newest {@link SAMPLE_MAX} orchestrations by the time of their
 * request are read; those without a response do not count.
 */
export function measureOrchestrations(
  core: CrossTenantDatabase,
  windows: readonly (TenantWindow & { readonly coverage_below: number })[],
): Promise<OrchestrationMeasure[]> {
  return inBatch(core, (transaction) =>
    transaction.query<OrchestrationMeasure & Record<string, unknown>>(
      `select m.* from ${WINDOWS.from('w', 1)}
        cross join lateral (
          select count(*)::int as finished, avg(p.coverage_achieved) as mean_coverage,
                 (count(*) filter (where p.coverage_achieved < w.coverage_below))::int as below,
                 (count(*) filter (where p.error is not null or p.fallback_used))::int as failed
            from (select q.request_id from orchestration_requests q
                   where q.tenant_id = w.tenant_id and q.created_at > w.from_at and q.created_at <= w.to_at
                   order by q.created_at desc, q.request_id desc limit ${SAMPLE_MAX}) q
            join orchestration_responses p on p.tenant_id = w.tenant_id and p.request_id = q.request_id) m
       order by w.n`,
      parametersOf(windows),
    ),
  );
}

/** Counts orchestrations that failed or are partial, by the time of their response, up to {@link COUNT_MAX} and one. */
export function countFailedOrchestrations(
  core: CrossTenantDatabase,
  windows: readonly TenantWindow[],
): Promise<number[]> {
  return count(
    core,
    `select from orchestration_responses p
      where p.tenant_id = w.tenant_id and p.created_at > w.from_at and p.created_at <= w.to_at
        and (p.error is not null or p.fallback_used)`,
    windows,
  );
}

/** Counts tries of detectors that gave no result, up to {@link COUNT_MAX} and one. A skipped detector is none. */
export function countFailedDetectors(
  core: CrossTenantDatabase,
  windows: readonly TenantWindow[],
): Promise<number[]> {
  return count(
    core,
    `select from detector_results d
      where d.tenant_id = w.tenant_id and d.created_at > w.from_at and d.created_at <= w.to_at
        and d.status in ('failed', 'timeout', 'unavailable')`,
    windows,
  );
}

async function count(
  core: CrossTenantDatabase,
  rows: string,
  windows: readonly TenantWindow[],
): Promise<number[]> {
  const counted = await inBatch(core, (transaction) =>
    transaction.query<{ n: number }>(
      `select c.n from ${WINDOWS.from('w', 1)}
        cross join lateral (select count(*)::int as n from (${rows} limit ${COUNT_MAX + 1}) r) c
       order by w.n`,
      parametersOf(windows),
    ),
  );
  return counted.map((row) => row.n);
}
