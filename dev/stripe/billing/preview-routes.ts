import type Stripe from 'stripe';
import type { z } from 'zod';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { boolean, clearable, currency, hash, oneOf, supportedOf, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest, notInStandIn } from '../api/stripe-error.ts';
import { refId } from '../objects/refs.ts';
import type { DiscountRequest } from '../seams/coupons-and-meters.ts';
import { findRecurringPrice } from '../subscriptions/items.ts';
import { previewCancellation, previewChange, previewCustomer, previewStart } from './preview.ts';
import {
  billingMode,
  cancelAt,
  changedItems,
  discountRequests,
  prorationBehavior,
  trialEnd,
} from './subscription-params.ts';

const detailsParam = hash({
  billing_cycle_anchor: hash({ type: oneOf('now', 'unchanged') }).optional(),
  billing_mode: billingMode.optional(),
  cancel_at: clearable(cancelAt).optional(),
  cancel_at_period_end: boolean().optional(),
  cancel_now: boolean().optional(),
  items: changedItems.optional(),
  metadata: metadata().optional(),
  proration_behavior: prorationBehavior.optional(),
  proration_date: timestamp().optional(),
  trial_end: trialEnd.optional(),
});

type Details = z.output<typeof detailsParam>;

interface PreviewRequest {
  readonly customer: string | undefined;
  readonly discounts: readonly DiscountRequest[] | null | undefined;
  readonly subscription: string | undefined;
  readonly details: Details;
}

function previewNew(
  context: Context,
  customer: string,
  { details, discounts }: PreviewRequest,
): Stripe.Invoice {
  const items = (details.items ?? []).map(({ price, quantity, metadata: change }, index) => {
    const param = `subscription_details[items][${index}][price]`;
    if (price === undefined)
      throw invalidRequest(`Missing required param: ${param}.`, { code: 'parameter_missing', param });
    return {
      price: findRecurringPrice(context, price, param),
      quantity,
      metadata: applyMetadata({}, change),
    };
  });
  return previewStart(context, {
    customer: context.find('customer', customer, 'customer'),
    items,
    trialEnd: details.trial_end,
    prorationBehavior: details.proration_behavior,
    discounts: discounts ?? [],
    metadata: applyMetadata({}, details.metadata),
  });
}

function preview(context: Context, request: PreviewRequest): Stripe.Invoice {
  const { customer, details, discounts, subscription: id } = request;
  if (id === undefined) {
    if (customer === undefined)
      throw invalidRequest('You must provide one of customer, subscription, or schedule.');
    if (details.items !== undefined) return previewNew(context, customer, request);
    if (Object.values(details).some((value) => value !== undefined))
      throw notInStandIn('a preview of a change without its subscription', 'subscription_details');
    return previewCustomer(context, context.find('customer', customer, 'customer').id);
  }
  const subscription = context.find('subscription', id, 'subscription');
  if (customer !== undefined && refId(subscription.customer) !== customer)
    throw invalidRequest(`The subscription ${id} does not belong to the customer ${customer}.`, {
      param: 'subscription',
    });
  const { proration_behavior = 'create_prorations' } = details;
  if (details.cancel_now === true)
    return previewCancellation(context, subscription, proration_behavior !== 'none');
  return previewChange(context, subscription, {
    items: details.items,
    prorationBehavior: proration_behavior,
    prorationDate: details.proration_date,
    anchor: details.billing_cycle_anchor?.type,
    trialEnd: details.trial_end,
    discounts,
    cancel_at: details.cancel_at,
    cancel_at_period_end: details.cancel_at_period_end,
    fields: { metadata: applyMetadata(subscription.metadata, details.metadata) },
  });
}

export const previews: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/invoices/create_preview',
      params: {
        currency: currency().optional(),
        customer: text().optional(),
        discounts: clearable(discountRequests).optional(),
        preview_mode: supportedOf('preview_mode', ['next'], ['recurring']).optional(),
        subscription: text().optional(),
        subscription_details: detailsParam.optional(),
      },
      unsupported: [
        'automatic_tax',
        'customer_account',
        'customer_details',
        'invoice_items',
        'issuer',
        'on_behalf_of',
        'schedule',
        'schedule_details',
        'subscription_details[billing_schedules]',
        'subscription_details[default_tax_rates]',
        'subscription_details[pause]',
        'subscription_details[resume_at]',
        'subscription_details[start_date]',
      ],
      run: (context, { customer, discounts, subscription, subscription_details: details = {} }) =>
        preview(context, { customer, discounts, subscription, details }),
    }),
  ],
};
