import {
  json,
  type CrossTenantDatabase,
  type CrossTenantTransaction,
} from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';

/** Where Stripe and this database can differ. */
export const MISMATCH_KINDS = [
  /** An object of a customer who belongs to no tenant. */
  'unknown_customer',
  /** A customer who is deleted at Stripe while its tenant is not. */
  'customer_deleted',
  /** A subscription to a price that no plan has: the tenant has the free plan. */
  'unknown_price',
  /** A state of a subscription, an invoice or a payment that this build does not know: it counts as the least. */
  'unknown_status',
  /** A tenant has two live subscriptions at Stripe. The older one counts. */
  'second_subscription',
  /** A subscription that is live at Stripe although its tenant is erased: somebody goes on being billed. */
  'subscription_of_erased',
  /** An object without what its row must have. Nothing is written. */
  'unreadable',
  /** A row that the reconcile timer had to mend. */
  'mended',
] as const;
export type MismatchKind = (typeof MISMATCH_KINDS)[number];

/** One difference, as {@link openMismatch} writes it. */
export interface Mismatch {
  readonly kind: MismatchKind;
  readonly objectType: string;
  readonly objectId: string;
  readonly tenantId: string | undefined;
  /** What an operator has to know: ids, states. Never what a person typed. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Opens a mismatch, or says that the open one was seen again. At most one of a kind and object is open. */
export async function openMismatch(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  mismatch: Mismatch,
  now: Date,
): Promise<void> {
  await transaction.query(
    `insert into ops.stripe_mismatches as m
       (mismatch_id, kind, object_type, object_id, tenant_id, details, found_at, last_seen_at)
     values ($1, $2, $3, $4, $5, $6, $7, $7)
     on conflict (kind, object_id) where resolved_at is null do update
       set last_seen_at = greatest(m.last_seen_at, excluded.last_seen_at), details = excluded.details,
           tenant_id = coalesce(excluded.tenant_id, m.tenant_id)`,
    [
      newId(now),
      mismatch.kind,
      mismatch.objectType,
      mismatch.objectId,
      mismatch.tenantId ?? null,
      json(mismatch.details),
      now,
    ],
  );
}

/** Resolves the open mismatches of an object, except those of some kinds. */
export async function resolveMismatches(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  objectId: string,
  { except, now }: { readonly except: readonly MismatchKind[]; readonly now: Date },
): Promise<void> {
  await transaction.query(
    `update ops.stripe_mismatches set resolved_at = $3
      where object_id = $1 and resolved_at is null and kind <> all($2::text[])`,
    [objectId, [...except], now],
  );
}

/** Resolves the open mismatch of one kind and object, if there is one. */
export async function resolveKind(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  { kind, objectId }: Pick<Mismatch, 'kind' | 'objectId'>,
  now: Date,
): Promise<void> {
  await transaction.query(
    `update ops.stripe_mismatches set resolved_at = $3 where kind = $1 and object_id = $2 and resolved_at is null`,
    [kind, objectId, now],
  );
}

/** A subscription that is live at Stripe although its tenant is erased. It names no tenant. */
export function subscriptionOfErased(objectId: string, customer: string): Mismatch {
  const details = { customer };
  return {
    kind: 'subscription_of_erased',
    objectType: 'subscription',
    objectId,
    tenantId: undefined,
    details,
  };
}

/** The subscriptions of a customer that are live although its tenant is erased, as far as Stripe has told. */
export async function liveOfErased(
  queries: Pick<CrossTenantTransaction, 'query'>,
  customerId: string,
): Promise<string[]> {
  const rows = await queries.query<{ object_id: string }>(
    `select object_id from ops.stripe_mismatches
      where kind = 'subscription_of_erased' and resolved_at is null and details ->> 'customer' = $1 order by object_id`,
    [customerId],
  );
  return rows.map((row) => row.object_id);
}

/** How many differences are open that nobody has mended. */
export async function countOpenMismatches(billing: CrossTenantDatabase): Promise<number> {
  const [row] = await billing.query<{ open: number }>(
    `select count(*) as open from ops.stripe_mismatches where resolved_at is null and kind <> 'mended'`,
  );
  return row?.open ?? 0;
}
