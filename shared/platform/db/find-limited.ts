import type { Parameter, StatementOptions, TenantDatabase } from './tenant-database.ts';

/** The rows found, and whether there are more. */
export interface Found<T> {
  readonly items: readonly T[];
  readonly truncated: boolean;
}

/** The result without a search. */
export const NOTHING_FOUND = { items: [], truncated: false } as const;

/**
 * Finds up to `limit` rows of the tenant. `select` is a whole select without its limit. It takes the tenant from
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
