import type { CallServices } from '../../../platform/call/call.ts';
import type { MismatchKind } from '../stripe/mismatches.ts';

/** An object at Stripe, by the type that Stripe gives it (`object.object`) and its id. */
export interface StripeRef {
  readonly type: string;
  readonly id: string;
}

/** What {@link syncObject} needs. */
export type SyncServices = Pick<CallServices, 'settings' | 'crossTenant' | 'tenants' | 'publisher'>;

/**
 * What became of an object. `written`: rows have changed. `unchanged`: they were as Stripe says. `mismatch`: something differs
 * that this service cannot put right; `mismatches` names it, and what can be written is. `gone`: Stripe no longer has the object,
 * and its row says so, if there is one. `ignored`: nothing here mirrors objects of this type.
 */
export interface SyncResult {
  readonly outcome: 'written' | 'unchanged' | 'mismatch' | 'gone' | 'ignored';
  /** Whose object it is, where that is known. */
  readonly tenantId: string | undefined;
  readonly mismatches: readonly MismatchKind[];
}

const SYNCED_TYPES: ReadonlySet<string> = new Set([
  'customer',
  'subscription',
  'invoice',
  'invoice_payment',
  'payment_intent',
  'charge',
  'refund',
  'dispute',
  'payment_method',
  'checkout.session',
]);

/** Whether rows mirror Stripe's objects of a type. Events of all other types can be ignored. */
export function isSyncedType(type: string): boolean {
  return SYNCED_TYPES.has(type);
}

/**
 * Makes the rows of a Stripe object what Stripe says now: fetches it under a lock, writes it in one transaction of billing with
 * what other domains must know, and publishes that after the commit. So order and repetition do not matter, also between processes.
 * @throws what `isStripeUnavailable` knows, if Stripe cannot be asked, and what a database throws. Nothing is written then, and the
 * same call can be made again.
 */
export function syncObject(_services: SyncServices, ref: StripeRef, _now: Date): Promise<SyncResult> {
  return Promise.reject(new Error(`a ${ref.type} cannot be synced yet`));
}
