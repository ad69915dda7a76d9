import type Stripe from 'stripe';
import type { CallServices, OutboxEntry } from '../../../platform/call/call.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { keptByLawSince } from '../../../platform/tenant-data/kept-by-law.ts';
import { isStripeMissing } from '../stripe/client.ts';
import { openMismatch, resolveMismatches, type Mismatch } from '../stripe/mismatches.ts';

/** An object at Stripe, by the type that Stripe gives it (`object.object`) and its id. */
export interface StripeRef {
  readonly type: string;
  readonly id: string;
}

/** What a sync needs of the app's services. */
export type SyncServices = Pick<CallServices, 'settings' | 'crossTenant' | 'tenants' | 'publisher'>;

/** How long one object may be waited for. Who holds its lock asks Stripe a few times, and each time has {@link CALL}. */
const LOCK_TIMEOUT_MS = 9_000;

/**
 * How Stripe is asked inside of a transaction: once, and not for long. The lock, a connection and the server's limit of an idle
 * transaction (20 s between two statements) all wait for the answer. What fails is done again as a whole, later.
 */
export const CALL: Stripe.RequestOptions = { timeout: 5_000, maxNetworkRetries: 0 };

/** What became of an object, before the commit. */
export interface Step {
  readonly outcome: 'written' | 'unchanged' | 'gone' | 'ignored';
  readonly tenantId?: string | undefined;
  /** Whether that tenant is erased: then nothing else that is written names it. */
  readonly isErased?: boolean | undefined;
  readonly mismatches?: readonly Mismatch[];
  /** What to publish after the commit; the rows are in the outbox. */
  readonly entries?: readonly OutboxEntry[] | undefined;
  /** Objects to be synced after the commit, each under its own lock. */
  readonly next?: readonly StripeRef[] | undefined;
}

/** What the sync of one object has in hand. */
export interface Work {
  readonly services: SyncServices;
  readonly stripe: Stripe;
  readonly now: Date;
}

/** Whether the law does not want an invoice or payment of an erased tenant any more. */
export function isUnwanted({ services, now }: Work, { created }: { readonly created: number }): boolean {
  return created * 1000 < keptByLawSince(services.settings, now).getTime();
}

/** An object as it is at Stripe; undefined if there is none. @throws what Stripe's client throws otherwise. */
export async function orMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isStripeMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Runs the sync of one object in a transaction that holds the object's lock, and lists or resolves its mismatches there. The lock is
 * of the whole server, so a second process waits, and then fetches what is newer.
 */
export function locked(
  { services, now }: Work,
  ref: StripeRef,
  run: (transaction: CrossTenantTransaction) => Promise<Step>,
): Promise<Step> {
  return services.crossTenant.billing.transaction(async (transaction) => {
    await transaction.query(`select set_config('lock_timeout', $1, true)`, [`${LOCK_TIMEOUT_MS}ms`]);
    await transaction.query(`select pg_advisory_xact_lock(hashtextextended($1, 0))`, [`stripe:${ref.id}`]);
    const step = await run(transaction);
    const found = step.mismatches ?? [];
    for (const mismatch of found)
      await openMismatch(
        transaction,
        step.isErased === true ? { ...mismatch, tenantId: undefined } : mismatch,
        now,
      );
    await resolveMismatches(transaction, ref.id, { except: found.map(({ kind }) => kind), now });
    return step;
  });
}
