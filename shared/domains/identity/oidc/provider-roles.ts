import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';

type Queries = Pick<CrossTenantTransaction, 'query'>;

/** Who gave roles from tokens of a provider, as in `assigned_by`. */
export const assignedBy = (provider: string): string => `provider:${provider}`;

/** Tokens record roles at the same time, but not while the tenant's list of providers loses one. Held until the transaction ends. */
export async function lockProvidersShared(queries: Queries, tenantId: string): Promise<void> {
  await queries.query(
    `select pg_advisory_xact_lock_shared(hashtextextended('identity-providers:' || $1, 0))`,
    [tenantId],
  );
}

/**
 * Ends all roles that people of a tenant have from tokens of some providers, after the tokens that are being recorded. One that is
 * recorded later finds that its provider is gone. Returns how many roles ended.
 */
export async function endProviderRoles(
  queries: Queries,
  tenantId: string,
  providers: readonly string[],
  by: string,
  now: Date,
): Promise<number> {
  await queries.query(`select pg_advisory_xact_lock(hashtextextended('identity-providers:' || $1, 0))`, [
    tenantId,
  ]);
  const [row] = await queries.query<{ ended: number }>(
    `with ended as (
       update user_role_assignments set is_active = false, ended_at = $3, ended_by = $4, updated_at = $3
        where tenant_id = $1 and source = 'token' and is_active and assigned_by = any($2::text[]) returning 1)
     select count(*)::int as ended from ended`,
    [tenantId, providers.map(assignedBy), now, by],
  );
  return row?.ended ?? 0;
}
