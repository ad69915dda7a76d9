import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Mismatch } from '../stripe/mismatches.ts';
import { customerOf, isDeleted, metadataOf } from '../stripe/stripe-shapes.ts';
import { CALL, orMissing, type StripeRef, type Step, type Work } from './work.ts';

/** Who an object belongs to, or the step that ends its sync. */
export type Owner =
  | { readonly tenantId: string; readonly customerId: string }
  | { readonly tenantId?: never; readonly step: Step };

/**
 * The tenant of an object, by its customer. A customer that is in no row, and names a tenant that has no other customer, is that
 * tenant's: the process that made it died before it could write so. The tenant's row is locked until the transaction ends, so
 * that what concerns all of a tenant's objects (its one live subscription, its default card) is decided by one at a time.
 */
export async function findOwner(
  work: Work,
  transaction: CrossTenantTransaction,
  ref: StripeRef,
  object: unknown,
): Promise<Owner> {
  const customerId = customerOf(object);
  const tenantId =
    customerId === undefined
      ? undefined
      : ((await findTenant(transaction, customerId)) ?? (await claim(work, transaction, customerId)));
  if (customerId !== undefined && tenantId !== undefined) return { tenantId, customerId };
  return { step: { outcome: 'unchanged', mismatches: [unknownCustomer(ref, customerId)] } };
}

function unknownCustomer(ref: StripeRef, customerId: string | undefined): Mismatch {
  return {
    kind: 'unknown_customer',
    objectType: ref.type,
    objectId: ref.id,
    tenantId: undefined,
    details: { customer: customerId ?? null },
  };
}

/** The tenant whose customer this is, with its row locked. */
export async function findTenant(
  transaction: CrossTenantTransaction,
  customerId: string,
): Promise<string | undefined> {
  const [row] = await transaction.query<{ tenant_id: string }>(
    `select tenant_id from ops.stripe_customers where stripe_customer_id = $1 for update`,
    [customerId],
  );
  return row?.tenant_id;
}

async function claim(
  { services, stripe, now }: Work,
  transaction: CrossTenantTransaction,
  customerId: string,
): Promise<string | undefined> {
  // What a subscription or an invoice says of its tenant does not count: only this service writes a customer's metadata.
  const customer = await orMissing(stripe.customers.retrieve(customerId, {}, CALL));
  const named = metadataOf(customer, 'tenant_id');
  if (named === undefined || named === PLATFORM_TENANT || isDeleted(customer)) return undefined;
  const tenant = await services.tenants.find(named);
  if (tenant === null || tenant.status === 'erased') return undefined;
  const [row] = await transaction.query<{ tenant_id: string }>(
    `insert into ops.stripe_customers as c (tenant_id, stripe_customer_id, created_at, updated_at)
     values ($1, $2, $3, $3)
     on conflict (tenant_id) do update set stripe_customer_id = excluded.stripe_customer_id, updated_at = $3
       where c.stripe_customer_id is null or c.stripe_customer_id = excluded.stripe_customer_id
     returning tenant_id`,
    [tenant.tenantId, customerId, now],
  );
  return row?.tenant_id;
}
