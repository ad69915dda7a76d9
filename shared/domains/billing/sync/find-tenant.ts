import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import type { Mismatch } from '../stripe/mismatches.ts';
import { customerOf, isDeleted, metadataOf } from '../stripe/stripe-shapes.ts';
import { CALL, orMissing, type StripeRef, type Step, type Work } from './work.ts';

/** A tenant, and whether its erasure has come to its rows here. */
interface KnownTenant {
  readonly tenantId: string;
  readonly isErased: boolean;
}

/** Who an object belongs to, or the step that ends its sync. */
export type Owner =
  (KnownTenant & { readonly customerId: string }) | { readonly tenantId?: never; readonly step: Step };

/**
 * The tenant of an object, by its customer. A customer that is in no row, and names a tenant that has no other customer, is that
 * tenant's: the process that made it died before it could write so. The tenant's row is locked until the transaction ends, so
 * that what concerns all of a tenant's objects (its one live subscription, its default card) is decided by one at a time. An erasure
 * marks that row before it clears the others, so an object that was fetched before finds the mark.
 */
export async function findOwner(
  work: Work,
  transaction: CrossTenantTransaction,
  ref: StripeRef,
  object: unknown,
): Promise<Owner> {
  const customerId = customerOf(object);
  const tenant =
    customerId === undefined
      ? undefined
      : ((await findTenant(transaction, customerId)) ?? (await claim(work, transaction, customerId)));
  if (customerId !== undefined && tenant !== undefined) return { ...tenant, customerId };
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
): Promise<KnownTenant | undefined> {
  const [row] = await transaction.query<TenantRow>(
    `select tenant_id, is_erased from ops.stripe_customers where stripe_customer_id = $1 for update`,
    [customerId],
  );
  return row === undefined ? undefined : { tenantId: row.tenant_id, isErased: row.is_erased };
}

interface TenantRow {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly is_erased: boolean;
}

/** Whether a tenant's erasure has come to its rows here. */
export async function isErasedHere(transaction: CrossTenantTransaction, tenantId: string): Promise<boolean> {
  const rows = await transaction.query(
    `select 1 from ops.stripe_customers where tenant_id = $1 and is_erased`,
    [tenantId],
  );
  return rows.length > 0;
}

async function claim(
  { services, stripe, now }: Work,
  transaction: CrossTenantTransaction,
  customerId: string,
): Promise<KnownTenant | undefined> {
  // What a subscription or an invoice says of its tenant does not count: only this service writes a customer's metadata.
  const customer = await orMissing(stripe.customers.retrieve(customerId, {}, CALL));
  const named = metadataOf(customer, 'tenant_id');
  if (named === undefined || named === PLATFORM_TENANT || isDeleted(customer)) return undefined;
  const tenant = await services.tenants.find(named);
  if (tenant === null) return undefined;
  // Also an erased tenant's: its erasure shows the operator which customer is left at Stripe.
  const [row] = await transaction.query<TenantRow>(
    `insert into ops.stripe_customers as c (tenant_id, stripe_customer_id, is_erased, created_at, updated_at)
     values ($1, $2, $4, $3, $3)
     on conflict (tenant_id) do update set stripe_customer_id = excluded.stripe_customer_id,
         is_erased = c.is_erased or excluded.is_erased, updated_at = $3
       where c.stripe_customer_id is null or c.stripe_customer_id = excluded.stripe_customer_id
     returning tenant_id, is_erased`,
    [tenant.tenantId, customerId, now, tenant.status === 'erased'],
  );
  return row === undefined ? undefined : { tenantId: row.tenant_id, isErased: row.is_erased };
}
