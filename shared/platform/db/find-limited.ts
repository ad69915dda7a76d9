import type { Parameter, StatementOptions, TenantDatabase } from './tenant-database.ts';

/** What was found, and whether there is more. */
export interface Found<T> {
  readonly items: readonly T[];
  readonly truncated: boolean;
}

/** Nothing was looked for. */
export const NOTHING_FOUND = { items: [], truncated: false } as const;

/**
 * Up to `limit` rows of the tenant. `select` is a whole select but for its limit; it takes the tenant from
 * `scope.tenant_id`, and its parameters begin at `$2`.
 */
export async function findLimited<T extends Record<string, unknown>>(
  tenant: TenantDatabase,
  select: string,
  parameters: readonly Parameter[],
  limit: number,
  options: StatementOptions = {},
): Promise<Found<T>> {
  const rows = await tenant.statement<T>(
    `select f.* from scope, lateral (${select} limit ${limit + 1} offset 0) f`,
    parameters,
    options,
  );
  return { items: rows.slice(0, limit), truncated: rows.length > limit };
}
