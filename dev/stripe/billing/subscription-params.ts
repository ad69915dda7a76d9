import type Stripe from 'stripe';
import { z } from 'zod';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import {
  boolean,
  clearable,
  hash,
  integer,
  list,
  oneOf,
  supportedOf,
  text,
  timestamp,
  unsupported,
} from '../api/params.ts';
import { findCustomerMethod } from '../payments/payment-methods.ts';
import { findRecurringPrice } from '../subscriptions/items.ts';
import type { ItemRequest } from './start.ts';

const quantity = integer({ min: 0, max: 999_999 });

const itemUnsupported = {
  billing_thresholds: unsupported('items[][billing_thresholds]'),
  current_trial: unsupported('items[][current_trial]'),
  discounts: unsupported('items[][discounts]'),
  plan: unsupported('items[][plan]'),
  price_data: unsupported('items[][price_data]'),
  tax_rates: unsupported('items[][tax_rates]'),
};

export const newItems = list(
  hash({
    ...itemUnsupported,
    metadata: metadata().optional(),
    price: text(),
    quantity: quantity.optional(),
  }),
);

export const changedItems = list(
  hash({
    ...itemUnsupported,
    clear_usage: unsupported('items[][clear_usage]'),
    deleted: boolean().optional(),
    id: text().optional(),
    metadata: metadata().optional(),
    price: text().optional(),
    quantity: quantity.optional(),
  }),
);

export const discountRequests = list(
  hash({ coupon: text().optional(), discount: text().optional(), promotion_code: text().optional() }),
);

export const prorationBehavior = oneOf('always_invoice', 'create_prorations', 'none');

export const paymentBehavior = oneOf(
  'allow_incomplete',
  'default_incomplete',
  'error_if_incomplete',
  'pending_if_incomplete',
);

const now = z.literal('now');

export const trialEnd = z.union([now, timestamp()]);

export const cancelAt = z.union([oneOf('max_period_end', 'min_period_end'), timestamp()]);

export const cancellationDetails = hash({
  comment: clearable(text()).optional(),
  feedback: clearable(
    oneOf(
      'customer_service',
      'low_quality',
      'missing_features',
      'other',
      'switched_service',
      'too_complex',
      'too_expensive',
      'unused',
    ),
  ).optional(),
});

export const trialSettings = hash({
  end_behavior: hash({
    billing_cycle_anchor: unsupported('trial_settings[end_behavior][billing_cycle_anchor]'),
    missing_payment_method: oneOf('cancel', 'create_invoice', 'pause'),
  }),
});

export const billingMode = hash({
  flexible: hash({
    proration_discounts: supportedOf('proration_discounts', ['included'], ['itemized']).optional(),
  }).optional(),
  type: supportedOf('billing_mode[type]', ['flexible'], ['classic']),
});

/** What both the creation and the change of a subscription take. */
export const sharedParams = {
  cancel_at: clearable(cancelAt).optional(),
  cancel_at_period_end: boolean().optional(),
  collection_method: supportedOf('collection_method', ['charge_automatically'], ['send_invoice']).optional(),
  default_payment_method: text().optional(),
  description: clearable(text({ max: 500 })).optional(),
  discounts: clearable(discountRequests).optional(),
  metadata: metadata().optional(),
  off_session: boolean().optional(),
  payment_behavior: paymentBehavior.optional(),
  payment_settings: hash({
    save_default_payment_method: oneOf('off', 'on_subscription').optional(),
  }).optional(),
  proration_behavior: prorationBehavior.optional(),
  trial_end: trialEnd.optional(),
  trial_settings: trialSettings.optional(),
};

export const sharedUnsupported = [
  'add_invoice_items',
  'application_fee_percent',
  'automatic_tax',
  'billing_schedules',
  'billing_thresholds',
  'days_until_due',
  'default_source',
  'default_tax_rates',
  'invoice_settings',
  'on_behalf_of',
  'payment_settings[payment_method_options]',
  'payment_settings[payment_method_types]',
  'pending_invoice_item_interval',
  'transfer_data',
  'trial_from_plan',
];

/** The items that a request asks for, with their prices. */
export function readItems(context: Context, items: z.output<typeof newItems>): ItemRequest[] {
  return items.map((item, index) => ({
    price: findRecurringPrice(context, item.price, `items[${index}][price]`),
    quantity: item.quantity,
    metadata: applyMetadata({}, item.metadata),
  }));
}

/** The payment method that a subscription is to have; a test token is attached first. */
export function readMethod(
  context: Context,
  customer: Stripe.Customer,
  id: string | undefined,
): string | undefined {
  if (id === undefined) return undefined;
  return findCustomerMethod(context, customer.id, id, 'default_payment_method').id;
}
