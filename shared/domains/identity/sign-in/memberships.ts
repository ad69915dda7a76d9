import { z } from 'zod';
import type { CallServices } from '../../../platform/call/call.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';

/** A tenant that a person belongs to. */
export const membership = z.object({ tenant_id: z.string(), name: z.string() });
export type Membership = z.output<typeof membership>;

/** The tenants where a person has a role now, by id. An erased tenant is none. */
export async function findMemberships(
  queries: Pick<CrossTenantDatabase, 'query'>,
  tenants: CallServices['tenants'],
  userId: string,
  now: Date,
): Promise<Membership[]> {
  const rows = await queries.query<{ tenant_id: string }>(
    `select distinct tenant_id from user_role_assignments
      where user_id = $1 and is_active and (expires_at is null or expires_at > $2) order by tenant_id`,
    [userId, now],
  );
  const contexts = await Promise.all(rows.map(async ({ tenant_id }) => tenants.find(tenant_id)));
  return contexts.flatMap((context) =>
    context === null || context.status === 'erased'
      ? []
      : [{ tenant_id: context.tenantId, name: context.name }],
  );
}

/** Whose audit trail a person's act belongs to: the named tenant's, or the only one's. Undefined: the platform's. */
export function trailOf(memberships: readonly Membership[], named?: string): string | undefined {
  if (named !== undefined) return memberships.find(({ tenant_id }) => tenant_id === named)?.tenant_id;
  return memberships.length === 1 ? memberships[0]?.tenant_id : undefined;
}
