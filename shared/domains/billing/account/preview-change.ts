import type Stripe from 'stripe';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { toDecimal } from '../money.ts';
import { findPlanOffer } from '../plans/plan-offer.ts';
import { askStripe } from '../stripe/ask-stripe.ts';
import { isStripeMissing } from '../stripe/client.ts';
import { lineOf } from '../stripe/stripe-shapes.ts';
import { requireStripeSubscription } from './at-stripe.ts';
import { changedItems, timeOf, type ItemChange } from './changed-items.ts';
import type { ChangePreview, ChangePreviewRequest, PreviewLine } from './schemas.ts';

/** What a change would bill. */
interface Billed {
  readonly prorationDate: number;
  readonly currency: string;
  /** The invoice that comes at once; undefined in a trial. */
  readonly immediate: Stripe.Invoice | undefined;
  readonly next: { readonly at: number; readonly amount: number } | undefined;
}

/**
 * What a change of plan would cost: now, and with the next renewal. Changes nothing.
 * @throws Problem as `changeSubscription` does, and 409 for the plan that the subscription is to already.
 */
export async function previewChange(
  call: Call,
  body: ChangePreviewRequest,
): Promise<Reply<200, ChangePreview>> {
  const { plan, own } = await call.databases.billing.transaction(async (transaction) => ({
    plan: await findPlanOffer(transaction, body),
    own: await requireStripeSubscription(transaction),
  }));
  const billed = await askStripe(call.services.settings, async (stripe) => {
    const subscription = await stripe.subscriptions.retrieve(own.stripe_subscription_id);
    const change = changedItems(subscription, plan);
    if (change.items.length === 0)
      throw new Problem('CONFLICT', { detail: 'The subscription is to this plan already.' });
    return findBilled(stripe, subscription, change, await timeOf(stripe, subscription, call.now));
  });
  const { immediate, next } = billed;
  const decimal = (amount: number): string => toDecimal(amount, billed.currency);
  const total = immediate?.total ?? 0;
  return ok<ChangePreview>({
    plan_id: plan.planId,
    billing_cycle: plan.billingCycle,
    proration_date: isoOf(billed.prorationDate),
    currency: billed.currency.toUpperCase(),
    lines: immediate === undefined ? [] : presentLines(immediate),
    total: decimal(total),
    due_now: decimal(immediate?.amount_due ?? 0),
    credited: decimal(Math.max(0, -total)),
    next_renewal: next === undefined ? null : { at: isoOf(next.at), amount: decimal(next.amount) },
  });
}

async function findBilled(
  stripe: Stripe,
  subscription: Stripe.Subscription,
  { base, items }: ItemChange,
  now: number,
): Promise<Billed> {
  // A moment before the period that Stripe has begun already would be refused.
  const prorationDate = Math.min(Math.max(now, base.current_period_start), base.current_period_end);
  const preview = (behavior: 'always_invoice' | 'none'): Promise<Stripe.Invoice> =>
    stripe.invoices.createPreview({
      subscription: subscription.id,
      subscription_details: { items, proration_behavior: behavior, proration_date: prorationDate },
    });
  const { currency } = subscription;
  if (subscription.status === 'trialing') {
    const renewal = await orNone(preview('none'));
    const next = renewal && { at: base.current_period_end, amount: renewal.amount_due };
    return { prorationDate, currency, immediate: undefined, next };
  }
  const [immediate, renewal] = await Promise.all([preview('always_invoice'), orNone(preview('none'))]);
  return { prorationDate, currency, immediate, next: renewalAfter(immediate, renewal, base) };
}

/** Another cycle begins a new period at once: then both previews are that invoice, and it says what the next one will be. */
function renewalAfter(
  immediate: Stripe.Invoice,
  renewal: Stripe.Invoice | undefined,
  base: Stripe.SubscriptionItem,
): Billed['next'] {
  const begun = immediate.lines.data.filter((line) => lineOf(line)?.isProration === false);
  const begins = begun.find(({ period }) => period.end > base.current_period_end);
  if (begins === undefined) return renewal && { at: base.current_period_end, amount: renewal.amount_due };
  const taken = begun.flatMap(({ discount_amounts: discounts }) => discounts ?? []);
  const amount =
    begun.reduce((sum, line) => sum + line.amount, 0) - taken.reduce((sum, one) => sum + one.amount, 0);
  return { at: begins.period.end, amount };
}

/** A preview; undefined where nothing will be billed, because the subscription ends. */
async function orNone(preview: Promise<Stripe.Invoice>): Promise<Stripe.Invoice | undefined> {
  try {
    return await preview;
  } catch (error) {
    if (isStripeMissing(error)) return undefined;
    throw error;
  }
}

/** The lines of a preview. */
export function presentLines(invoice: Stripe.Invoice): PreviewLine[] {
  return invoice.lines.data.map((line) => ({
    description: line.description,
    amount: toDecimal(line.amount, invoice.currency),
    is_proration: lineOf(line)?.isProration ?? false,
    period_start: isoOf(line.period.start),
    period_end: isoOf(line.period.end),
  }));
}

/** Stripe's seconds as RFC 3339. */
export function isoOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
