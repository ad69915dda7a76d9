import { z } from 'zod';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import { PERMISSION_SETS } from '../../platform/auth/permissions.ts';
import { findActivePlan, hasHardLimit } from '../billing/plans/plan.ts';
import { openBilling } from '../billing/open-billing.ts';
import { when } from '../../platform/db/keyset.ts';
import type { CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { auditEvent } from '../../platform/writes/caused-events.ts';
import type { Call } from '../../platform/call/call.ts';
import { tenantId } from '../../platform/http/fields.ts';
import { listReply } from '../../platform/http/list-reply.ts';
import { pageOf, pageQuery, type Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { created, type Reply } from '../../platform/call/reply.ts';
import { insertKey, presentKey } from '../identity/insert-key.ts';
import {
  apiKey,
  RATE_PER_DAY_DEFAULT,
  RATE_PER_HOUR_DEFAULT,
  ratePerDay,
  ratePerHour,
  SHOWN_ONCE,
} from '../identity/schemas.ts';
import { performPlatformWrite } from '../../platform/writes/perform-write.ts';
import type { CallServices } from '../../platform/call/call.ts';
import { tenant, TENANT_COLUMNS, tenantStatus, type Tenant } from './tenant.ts';

/** `POST /platform/tenants`. */
export const newTenant = z.strictObject({
  tenant_id: tenantId.refine((id) => id !== PLATFORM_TENANT, { message: 'is the platform’s own' }),
  name: z.string().min(1).max(200),
  plan_id: z.string().min(1).max(100).default('free'),
  rate_limit_per_hour: ratePerHour
    .default(RATE_PER_HOUR_DEFAULT)
    .describe('Of the first key, and so the most that any key of the tenant can have.'),
  rate_limit_per_day: ratePerDay
    .default(RATE_PER_DAY_DEFAULT)
    .describe('Of the first key, and so the most that any key of the tenant can have.'),
});
export type NewTenant = z.output<typeof newTenant>;

/** A new tenant without its first key. */
type TenantToAdd = Pick<NewTenant, 'tenant_id' | 'name' | 'plan_id'>;

/** A page of tenants. */
export const tenantsPage = pageOf(tenant);

/** A tenant just made, with its first key. */
export const tenantCreated = z.object({
  ...tenant.shape,
  owner_key: apiKey,
  owner_api_key: z.string().nullable().describe(SHOWN_ONCE),
});

export type TenantCreated = z.output<typeof tenantCreated>;

/** `GET /platform/tenants`. */
export const tenantsQuery = z.object({
  ...pageQuery,
  status: tenantStatus.optional(),
  plan_id: z.string().max(100).optional(),
});

/**
 * Adds a tenant in the caller's transaction: its row, its data key and its settings, and its plan in the billing database.
 * The billing rows are written last, before the tenant's row is committed. So after any failure the same call completes the
 * tenant, and an existing tenant is never changed.
 * @throws Problem 409 if the tenant exists, 400 if the plan does not.
 */
export async function addTenant(
  services: Pick<CallServices, 'crossTenant' | 'dataKeys' | 'settings'>,
  transaction: CrossTenantTransaction,
  wanted: TenantToAdd,
  now: Date,
): Promise<Tenant> {
  const plan = await findActivePlan(services.crossTenant.billing, wanted.plan_id);
  if (plan === undefined)
    throw new Problem('INVALID_REQUEST', { errors: [{ pointer: '/plan_id', detail: 'is no plan' }] });
  const [added] = await transaction.query<Tenant>(
    `insert into tenants (tenant_id, name, plan_id, has_quota, created_at, updated_at) values ($1, $2, $3, $4, $5, $5)
     on conflict (tenant_id) do nothing returning ${TENANT_COLUMNS}`,
    [wanted.tenant_id, wanted.name, plan.plan_id, hasHardLimit(plan), now],
  );
  if (added === undefined) throw new Problem('CONFLICT', { detail: 'The tenant already exists.' });
  const dataKeyId = await services.dataKeys.create(transaction, wanted.tenant_id);
  await transaction.query(`update tenants set data_key_id = $2 where tenant_id = $1`, [
    wanted.tenant_id,
    dataKeyId,
  ]);
  await transaction.query(
    `insert into tenant_configs (tenant_id, azure_region, created_at, updated_at) values ($1, $2, $3, $3)`,
    [wanted.tenant_id, services.settings.AZURE_REGION, now],
  );
  await openBilling(services.crossTenant.billing, { tenant_id: wanted.tenant_id, plan }, now);
  return added;
}

/**
 * `POST /platform/tenants`: makes a tenant and its first key. Only this answer contains the key.
 * @throws what {@link addTenant} throws.
 */
export async function createTenant(call: Call, body: NewTenant): Promise<Reply<201, TenantCreated>> {
  const reply = await performPlatformWrite<Reply<201, TenantCreated>>(call, async (transaction) => {
    const added = await addTenant(call.services, transaction, body, call.now);
    const { row, credential } = await insertKey(
      call.services.settings,
      transaction,
      {
        tenantId: body.tenant_id,
        name: 'owner',
        permissions: PERMISSION_SETS.owner,
        rateLimitPerHour: body.rate_limit_per_hour,
        rateLimitPerDay: body.rate_limit_per_day,
        expiresAt: null,
        createdBy: call.principal.actor,
        // An operator has no role in the tenant, and the key must outlast that person.
        makerId: null,
      },
      call.now,
    );
    const location = `/api/v1/platform/tenants/${body.tenant_id}`;
    const answer: Omit<TenantCreated, 'owner_api_key'> = {
      ...added,
      owner_key: presentKey(row, call.now),
    };
    const audit = {
      action: 'tenant.created',
      resource_type: 'tenant',
      resource_id: body.tenant_id,
      details: { plan_id: body.plan_id, owner_key_id: row.key_id },
    };
    return {
      reply: created(location, { ...answer, owner_api_key: credential }),
      storedReply: created(location, { ...answer, owner_api_key: null }),
      audit,
      // The new tenant's own trail has the entry too.
      events: [auditEvent(call, { ...audit, tenant_id: body.tenant_id })],
    };
  });
  call.services.tenants.forget(body.tenant_id);
  return reply;
}

/** A page of all tenants, the platform's own included. */
export function listTenants(
  call: Call,
  query: z.output<typeof tenantsQuery>,
  url: string,
): Promise<Reply<200, Page<Tenant>>> {
  return listReply(call, query, url, {
    table: 'tenants t',
    columns: TENANT_COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'tenant_id',
    idType: 'text',
    tenantColumn: null,
    conditions: [...when('t.status = ?', query.status), ...when('t.plan_id = ?', query.plan_id)],
  });
}
