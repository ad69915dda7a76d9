import { LimitedTurns } from './limited-turns.ts';
import { stripeInBackground } from '../stripe/client.ts';
import type { MismatchKind } from '../stripe/mismatches.ts';
import { syncCheckoutSession } from './checkout-session.ts';
import { findMethodsCustomer, syncCustomer } from './customer.ts';
import { findPaidInvoice, syncInvoiceRow } from './invoice.ts';
import { findIntent, syncPaymentRow } from './payment.ts';
import { syncSubscriptionRow } from './subscription.ts';
import { locked, type Step, type StripeRef, type SyncServices, type Work } from './work.ts';

/**
 * What became of an object. `written`: rows have changed. `unchanged`: they were as Stripe says. `mismatch`: something differs
 * that this service cannot put right; `mismatches` names it, and what can be written is. `gone`: Stripe no longer has the object,
 * and its row says so, if there is one. `ignored`: nothing here mirrors objects of this type.
 */
export interface SyncResult {
  readonly outcome: 'written' | 'unchanged' | 'mismatch' | 'gone' | 'ignored';
  /** Whose object it is, where that is known. Undefined for an erased tenant's: nothing names it again. */
  readonly tenantId: string | undefined;
  /** Set if its tenant is erased. */
  readonly isErased?: true;
  readonly mismatches: readonly MismatchKind[];
}

const turns = new WeakMap<SyncServices['settings'], LimitedTurns>();

/**
 * How many objects one process syncs at a time: half of the cross-tenant pool. Each holds a connection of it while Stripe is asked,
 * and the other half stays for what the consumers and timers ask of billing meanwhile.
 */
function turnsOf(settings: SyncServices['settings']): LimitedTurns {
  let found = turns.get(settings);
  if (found === undefined) {
    found = new LimitedTurns(Math.max(1, Math.floor(settings.DATABASE_CROSS_TENANT_POOL_MAX / 2)));
    turns.set(settings, found);
  }
  return found;
}

const SYNCS: Readonly<Record<string, (work: Work, ref: StripeRef) => Promise<Step>>> = {
  customer: (work, { id }) => syncCustomer(work, id),
  subscription: (work, { id }) => syncSubscriptionRow(work, id),
  invoice: (work, { id }) => syncInvoiceRow(work, id),
  invoice_payment: (work, { id }) => follow('invoice', findPaidInvoice(work, id)),
  payment_intent: (work, { id }) => syncPaymentRow(work, id),
  charge: syncPartOfPayment,
  refund: syncPartOfPayment,
  dispute: syncPartOfPayment,
  payment_method: (work, { id }) => follow('customer', findMethodsCustomer(work, id)),
  'checkout.session': (work, { id }) => syncCheckoutSession(work, id),
};

/** Whether rows mirror Stripe's objects of a type. Events of all other types can be ignored. */
export function isSyncedType(type: string): boolean {
  return Object.hasOwn(SYNCS, type);
}

/**
 * Makes the rows of a Stripe object what Stripe says now: fetches it under a lock, writes it in one transaction of billing with
 * what other domains must know, and publishes that after the commit. So order and repetition do not matter, also between processes.
 * What belongs to it (the payments of an invoice, the subscription of a checkout) follows in transactions of its own.
 * @throws what `isStripeUnavailable` knows, if Stripe cannot be asked, and what a database throws. The object that could not be
 * synced is unchanged then, and the same call can be made again.
 */
export async function syncObject(services: SyncServices, ref: StripeRef, now: Date): Promise<SyncResult> {
  if (!isSyncedType(ref.type)) return { outcome: 'ignored', tenantId: undefined, mismatches: [] };
  const work: Work = { services, stripe: await stripeInBackground(services.settings), now };
  return turnsOf(services.settings).run(() => syncWithNext(work, ref));
}

async function syncWithNext(work: Work, ref: StripeRef): Promise<SyncResult> {
  const waiting: StripeRef[] = [ref];
  const seen = new Set<string>();
  const steps: Step[] = [];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const name = `${next.type} ${next.id}`;
    if (seen.has(name)) continue;
    seen.add(name);
    const step = await SYNCS[next.type]?.(work, next);
    if (step === undefined) continue;
    for (const entry of step.entries ?? []) work.services.publisher.publish(entry);
    steps.push(step);
    waiting.push(...(step.next ?? []));
  }
  return resultOf(steps);
}

/** What became of the object with all that followed. */
function resultOf(steps: readonly Step[]): SyncResult {
  const mismatches = [...new Set(steps.flatMap((step) => (step.mismatches ?? []).map(({ kind }) => kind)))];
  const outcomes = steps.map(({ outcome }) => outcome);
  const changed = outcomes.find((outcome) => outcome === 'written');
  const [own = 'unchanged'] = outcomes;
  const isErased = steps.some((step) => step.isErased === true);
  return {
    outcome: own === 'gone' ? own : mismatches.length > 0 ? 'mismatch' : (changed ?? own),
    tenantId: isErased ? undefined : steps.find(({ tenantId }) => tenantId !== undefined)?.tenantId,
    ...(isErased ? { isErased } : {}),
    mismatches,
  };
}

/** An object without a row of its own: what it belongs to is synced. */
async function follow(type: string, found: Promise<string | undefined>): Promise<Step> {
  const id = await found;
  return id === undefined ? { outcome: 'gone' } : { outcome: 'unchanged', next: [{ type, id }] };
}

/** A charge, refund or dispute is part of the payment of its intent. */
async function syncPartOfPayment(work: Work, ref: StripeRef): Promise<Step> {
  const intent = await findIntent(work, ref);
  if (intent !== '') return follow('payment_intent', Promise.resolve(intent));
  const missing = {
    kind: 'unreadable',
    objectType: ref.type,
    objectId: ref.id,
    tenantId: undefined,
    details: { missing: 'payment_intent' },
  } as const;
  return locked(work, ref, () => Promise.resolve({ outcome: 'unchanged', mismatches: [missing] }));
}
