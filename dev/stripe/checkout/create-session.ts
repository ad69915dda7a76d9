import type Stripe from 'stripe';
import type { z } from 'zod';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import {
  boolean,
  currency,
  hash,
  integer,
  list,
  oneOf,
  supportedOf,
  text,
  timestamp,
  unsupported,
} from '../api/params.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { billingMode, trialSettings } from '../billing/subscription-params.ts';
import { findCustomer, timeOf } from '../customers/customer-time.ts';
import { randomLetters } from '../objects/kinds.ts';
import { createSetupIntent } from '../payments/setup-intents.ts';
import { findRecurringPrice } from '../subscriptions/items.ts';
import { findAmounts } from './amounts.ts';
import type { Amounts } from './amounts.ts';
import { putOrder } from './order.ts';
import type { Order } from './order.ts';

const HOUR_SECONDS = 60 * 60;
const DAY_SECONDS = 24 * HOUR_SECONDS;
const SHORTEST_SECONDS = HOUR_SECONDS / 2;
const LONGEST_SECONDS = DAY_SECONDS;
const SHORTEST_TRIAL_SECONDS = 2 * DAY_SECONDS;

const lineItem = hash({
  adjustable_quantity: unsupported('line_items[][adjustable_quantity]'),
  dynamic_tax_rates: unsupported('line_items[][dynamic_tax_rates]'),
  metadata: metadata().optional(),
  price: text(),
  price_data: unsupported('line_items[][price_data]'),
  quantity: integer({ min: 0, max: 999_999 }).optional(),
  tax_rates: unsupported('line_items[][tax_rates]'),
});

export const sessionParams = {
  allow_promotion_codes: boolean().optional(),
  billing_address_collection: supportedOf('billing_address_collection', ['auto'], ['required']).optional(),
  cancel_url: text().optional(),
  client_reference_id: text({ max: 200 }).optional(),
  currency: currency().optional(),
  customer: text().optional(),
  customer_email: text({ max: 512 }).optional(),
  discounts: list(hash({ coupon: text().optional(), promotion_code: text().optional() })).optional(),
  expires_at: timestamp().optional(),
  line_items: list(lineItem).optional(),
  locale: text().optional(),
  metadata: metadata().optional(),
  mode: supportedOf('mode', ['setup', 'subscription'], ['payment']),
  payment_method_collection: oneOf('always', 'if_required').optional(),
  setup_intent_data: hash({ description: text().optional(), metadata: metadata().optional() }).optional(),
  subscription_data: hash({
    billing_cycle_anchor: timestamp().optional(),
    billing_mode: billingMode.optional(),
    description: text({ max: 500 }).optional(),
    metadata: metadata().optional(),
    proration_behavior: oneOf('create_prorations', 'none').optional(),
    trial_end: timestamp().optional(),
    trial_period_days: integer({ min: 1, max: 730 }).optional(),
    trial_settings: trialSettings.optional(),
  }).optional(),
  success_url: text(),
  ui_mode: supportedOf('ui_mode', ['hosted_page'], ['elements', 'embedded_page', 'form']).optional(),
};

export type SessionParams = z.output<z.ZodObject<typeof sessionParams>>;

function checkUrl(url: string | undefined, param: string): void {
  if (url === undefined) return;
  if (!URL.canParse(url.replaceAll(/[{}]/g, '')))
    throw invalidRequest('Not a valid URL', { code: 'url_invalid', param });
}

function checkTogether(given: SessionParams): void {
  checkUrl(given.success_url, 'success_url');
  checkUrl(given.cancel_url, 'cancel_url');
  const both = (one: string, other: string): Error =>
    invalidRequest(`You may only specify one of these parameters: ${one}, ${other}.`, { param: one });
  if (given.customer !== undefined && given.customer_email !== undefined)
    throw both('customer', 'customer_email');
  const discounts = given.discounts ?? [];
  if (discounts.length > 0 && given.allow_promotion_codes !== undefined)
    throw both('allow_promotion_codes', 'discounts');
  if (discounts.length > 1) throw invalidRequest('You can only pass one discount.', { param: 'discounts' });
  if (given.mode === 'subscription' && (given.line_items ?? []).length === 0)
    throw invalidRequest(
      'You must provide at least one recurring price in `subscription` mode when using prices.',
      {
        code: 'parameter_missing',
        param: 'line_items',
      },
    );
}

function findExpiry(now: number, given: number | undefined): number {
  const at = given ?? now + LONGEST_SECONDS;
  if (at < now + SHORTEST_SECONDS)
    throw invalidRequest(
      'The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.',
      {
        param: 'expires_at',
      },
    );
  if (at > now + LONGEST_SECONDS)
    throw invalidRequest(
      'The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.',
      {
        param: 'expires_at',
      },
    );
  return at;
}

function makeOrder(context: Context, given: SessionParams, now: number): Order {
  const data = given.subscription_data ?? {};
  if (data.trial_end !== undefined && data.trial_end < now + SHORTEST_TRIAL_SECONDS)
    throw invalidRequest('The `trial_end` date has to be at least 2 days in the future.', {
      param: 'subscription_data[trial_end]',
    });
  const items = (given.line_items ?? []).map(({ price, quantity, metadata: change }, index) => {
    findRecurringPrice(context, price, `line_items[${index}][price]`);
    return { price, quantity, metadata: applyMetadata({}, change) };
  });
  return {
    secret: randomLetters(40),
    items,
    discounts: (given.discounts ?? []).map((discount) => ({ ...discount })),
    anchor: data.billing_cycle_anchor,
    description: data.description ?? null,
    metadata: applyMetadata({}, data.metadata),
    missing_payment_method: data.trial_settings?.end_behavior.missing_payment_method,
    proration_behavior: data.proration_behavior,
    trial_days: data.trial_period_days,
    trial_end: data.trial_end,
  };
}

const NO_AMOUNTS: Amounts = {
  amount_subtotal: null,
  amount_total: null,
  currency: null,
  total_details: null,
};

interface SessionParts {
  readonly id: string;
  readonly secret: string;
  readonly given: SessionParams;
  readonly customer: Stripe.Customer | undefined;
  readonly amounts: Amounts;
  readonly now: number;
}

function makeSession(context: Context, parts: SessionParts): Stripe.Checkout.Session {
  const { id, given, customer, amounts, now } = parts;
  const email = customer?.email ?? given.customer_email ?? null;
  const discounts = (given.discounts ?? []).map(({ coupon = null, promotion_code = null }) => ({
    coupon,
    promotion_code,
  }));
  return {
    id,
    object: 'checkout.session',
    adaptive_pricing: { enabled: false },
    after_expiration: null,
    allow_promotion_codes: given.allow_promotion_codes ?? null,
    allowed_payment_method_types: null,
    ...amounts,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: given.billing_address_collection ?? null,
    cancel_url: given.cancel_url ?? null,
    client_reference_id: given.client_reference_id ?? null,
    client_secret: null,
    collected_information: null,
    consent: null,
    consent_collection: null,
    created: now,
    currency: amounts.currency ?? given.currency ?? null,
    currency_conversion: null,
    custom_fields: [],
    custom_text: {
      after_submit: null,
      shipping_address: null,
      submit: null,
      terms_of_service_acceptance: null,
    },
    customer: customer?.id ?? null,
    customer_account: null,
    customer_creation: customer === undefined ? 'always' : null,
    customer_details:
      email === null
        ? null
        : {
            address: null,
            business_name: null,
            email,
            individual_name: null,
            name: null,
            phone: null,
            tax_exempt: 'none',
            tax_ids: null,
          },
    customer_email: given.customer_email ?? null,
    discounts,
    expires_at: findExpiry(now, given.expires_at),
    integration_identifier: null,
    invoice: null,
    invoice_creation: null,
    livemode: false,
    locale: given.locale ?? null,
    managed_payments: null,
    metadata: applyMetadata({}, given.metadata),
    mode: given.mode,
    origin_context: null,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: given.payment_method_collection ?? 'always',
    payment_method_configuration_details: null,
    payment_method_options: { card: { request_three_d_secure: 'automatic' } },
    payment_method_types: ['card'],
    payment_status: given.mode === 'setup' ? 'no_payment_required' : 'unpaid',
    permissions: null,
    phone_number_collection: { enabled: false },
    recovered_from: null,
    saved_payment_method_options: {
      allow_redisplay_filters: ['always'],
      payment_method_remove: 'disabled',
      payment_method_save: null,
    },
    setup_intent: null,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: 'open',
    submit_type: null,
    subscription: null,
    success_url: given.success_url,
    ui_mode: 'hosted_page',
    url: `${context.url}/_stand-in/pages/checkout/${id}/${parts.secret}`,
    wallet_options: null,
  };
}

/** A session that waits for a person. What it will cost is worked out by what will then happen. */
export function createSession(context: Context, given: SessionParams): Stripe.Checkout.Session {
  checkTogether(given);
  const customer = given.customer === undefined ? undefined : findCustomer(context, given.customer);
  const now = customer === undefined ? context.now() : timeOf(context, customer);
  const id = context.newId('checkout.session');
  const order = makeOrder(context, given, now);
  const isSetup = given.mode === 'setup';
  const amounts = isSetup ? NO_AMOUNTS : findAmounts(context, id, order, customer?.id ?? null);
  const session = makeSession(context, { id, secret: order.secret, given, customer, amounts, now });
  putOrder(context, id, order);
  if (!isSetup) {
    context.store.put(session);
    return session;
  }
  const { description, metadata: change } = given.setup_intent_data ?? {};
  const intent = createSetupIntent(context, {
    customer: customer?.id ?? null,
    description: description ?? null,
    metadata: applyMetadata({}, change),
  });
  const withIntent = { ...session, setup_intent: intent.id };
  context.store.put(withIntent);
  return withIntent;
}
