import { z } from 'zod';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';

/** A tenant's status. */
export const tenantStatus = z.enum(['active', 'suspended', 'offboarding', 'erased']);

/** A tenant, as its own people and operators see it. */
export const tenant = z.object({
  tenant_id: z.string(),
  name: z.string(),
  status: tenantStatus.describe(
    'What is `suspended` or `offboarding` reads and exports, and does not write. What is `erased` is refused.',
  ),
  status_reason: z.string().nullable().describe('Why it has this status, as who changed it said.'),
  status_changed_at: z.string().nullable().describe('Null: it has had the same status from the beginning.'),
  offboarding_ends_at: z
    .string()
    .nullable()
    .describe('Of a tenant that is leaving: until then it can be undone. After that, it is erased.'),
  offboarding_began_by: z
    .enum(['tenant', 'operator'])
    .nullable()
    .describe('A tenant can undo only what it began itself.'),
  plan_id: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
});

/** The row as it is sent. */
export type Tenant = z.output<typeof tenant>;

/** The columns of {@link tenant}. */
export const TENANT_COLUMNS = Object.keys(tenant.shape).join(', ');

/**
 * One tenant. `tenants` is the platform's table, so the role of requests can read all of it.
 * @throws Problem 404.
 */
export async function readTenant(call: Call, id: string): Promise<Reply<200, Tenant>> {
  const [row] = await call.tenant.statement<Tenant>(
    `select r.* from scope, lateral (select ${TENANT_COLUMNS} from tenants t where t.tenant_id = $2 offset 0) r`,
    [id],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such tenant.' });
  return ok(row);
}

/** The caller's own tenant. */
export function readOwnTenant(call: Call): Promise<Reply<200, Tenant>> {
  return readTenant(call, call.principal.tenantId);
}
