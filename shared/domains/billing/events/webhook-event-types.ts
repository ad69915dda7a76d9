import type Stripe from 'stripe';

type EventType = Stripe.WebhookEndpointCreateParams.EnabledEvent;

/** The types that `event-objects.ts` processes, of those that the SDK knows. */
type Handled = Exclude<
  Extract<
    EventType,
    | `customer.${'created' | 'updated' | 'deleted'}`
    | `${'customer.subscription' | 'invoice' | 'invoice_payment' | 'payment_intent' | 'charge' | 'refund'}.${string}`
    | `${'payment_method' | 'checkout.session'}.${string}`
  >,
  'invoice.upcoming'
>;

/** Every type of event that changes rows here. It compiles only while it is complete: an update of the SDK may bring more. */
const HANDLED: Readonly<Record<Handled, true>> = {
  'charge.captured': true,
  'charge.dispute.closed': true,
  'charge.dispute.created': true,
  'charge.dispute.funds_reinstated': true,
  'charge.dispute.funds_withdrawn': true,
  'charge.dispute.updated': true,
  'charge.expired': true,
  'charge.failed': true,
  'charge.pending': true,
  'charge.refund.updated': true,
  'charge.refunded': true,
  'charge.succeeded': true,
  'charge.updated': true,
  'checkout.session.async_payment_failed': true,
  'checkout.session.async_payment_succeeded': true,
  'checkout.session.completed': true,
  'checkout.session.expired': true,
  'customer.created': true,
  'customer.deleted': true,
  'customer.subscription.created': true,
  'customer.subscription.deleted': true,
  'customer.subscription.paused': true,
  'customer.subscription.pending_update_applied': true,
  'customer.subscription.pending_update_expired': true,
  'customer.subscription.resumed': true,
  'customer.subscription.trial_will_end': true,
  'customer.subscription.updated': true,
  'customer.updated': true,
  'invoice.created': true,
  'invoice.deleted': true,
  'invoice.finalization_failed': true,
  'invoice.finalized': true,
  'invoice.marked_uncollectible': true,
  'invoice.overdue': true,
  'invoice.overpaid': true,
  'invoice.paid': true,
  'invoice.payment_action_required': true,
  'invoice.payment_attempt_required': true,
  'invoice.payment_failed': true,
  'invoice.payment_succeeded': true,
  'invoice.sent': true,
  'invoice.updated': true,
  'invoice.voided': true,
  'invoice.will_be_due': true,
  'invoice_payment.paid': true,
  'payment_intent.amount_capturable_updated': true,
  'payment_intent.canceled': true,
  'payment_intent.created': true,
  'payment_intent.partially_funded': true,
  'payment_intent.payment_failed': true,
  'payment_intent.processing': true,
  'payment_intent.requires_action': true,
  'payment_intent.succeeded': true,
  'payment_method.attached': true,
  'payment_method.automatically_updated': true,
  'payment_method.detached': true,
  'payment_method.updated': true,
  'refund.created': true,
  'refund.failed': true,
  'refund.updated': true,
};

/** The types of event that are processed here and that an endpoint at Stripe does not select. */
export function missingEventTypes(enabled: readonly string[]): readonly string[] {
  if (enabled.includes('*')) return [];
  const selected = new Set(enabled);
  return Object.keys(HANDLED).filter((type) => !selected.has(type));
}
