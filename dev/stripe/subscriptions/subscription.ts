import type Stripe from 'stripe';
import { refId } from '../objects/refs.ts';

export interface NewSubscription {
  readonly id: string;
  readonly customer: Stripe.Customer;
  readonly items: Stripe.SubscriptionItem[];
  readonly currency: string;
  readonly anchor: number;
  readonly now: number;
  readonly trialEnd: number | null;
  readonly missingPaymentMethod: Stripe.Subscription.TrialSettings.EndBehavior.MissingPaymentMethod;
  readonly defaultPaymentMethod: string | null;
  readonly saveDefaultPaymentMethod: 'off' | 'on_subscription';
  readonly description: string | null;
  readonly discounts: string[];
  readonly metadata: Record<string, string>;
}

export function listOfItems(id: string, data: Stripe.SubscriptionItem[]): Stripe.Subscription['items'] {
  return { object: 'list', data, has_more: false, url: `/v1/subscription_items?subscription=${id}` };
}

/** The object of a new subscription. Whoever makes it says its state and its first invoice. */
export function makeSubscription(
  given: NewSubscription,
  status: Stripe.Subscription.Status,
  latestInvoice: string | null,
): Stripe.Subscription {
  return {
    id: given.id,
    object: 'subscription',
    application: null,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: given.anchor,
    billing_cycle_anchor_config: null,
    billing_mode: { flexible: { proration_discounts: 'included' }, type: 'flexible' },
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
    collection_method: 'charge_automatically',
    created: given.now,
    currency: given.currency,
    customer: given.customer.id,
    customer_account: null,
    days_until_due: null,
    default_payment_method: given.defaultPaymentMethod,
    default_source: null,
    default_tax_rates: [],
    description: given.description,
    discounts: given.discounts,
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: 'self' },
    },
    items: listOfItems(given.id, given.items),
    latest_invoice: latestInvoice,
    livemode: false,
    managed_payments: null,
    metadata: given.metadata,
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: {
      payment_method_options: null,
      payment_method_types: null,
      save_default_payment_method: given.saveDefaultPaymentMethod,
    },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: given.now,
    status,
    test_clock: refId(given.customer.test_clock),
    transfer_data: null,
    trial_end: given.trialEnd,
    trial_settings: {
      end_behavior: { billing_cycle_anchor: null, missing_payment_method: given.missingPaymentMethod },
    },
    trial_start: given.trialEnd === null ? null : given.now,
  };
}
