import { applyMetadata, metadata } from '../api/metadata.ts';
import { pageParams, timedPageParams, listInside, paginate } from '../api/page.ts';
import { hash, oneOf, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { refId } from '../objects/refs.ts';
import { createSession, sessionParams } from './create-session.ts';
import { checkoutPages } from './page.ts';
import { expireSession } from './session.ts';

export const checkoutSessions: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/checkout/sessions',
      params: sessionParams,
      unsupported: [
        'adaptive_pricing',
        'after_expiration',
        'allowed_payment_method_types',
        'automatic_tax',
        'branding_settings',
        'consent_collection',
        'custom_fields',
        'custom_text',
        'customer_account',
        'customer_creation',
        'customer_update',
        'excluded_payment_method_types',
        'integration_identifier',
        'invoice_creation',
        'managed_payments',
        'name_collection',
        'optional_items',
        'origin_context',
        'payment_intent_data',
        'payment_method_configuration',
        'payment_method_data',
        'payment_method_options',
        'permissions',
        'phone_number_collection',
        'redirect_on_completion',
        'return_url',
        'saved_payment_method_options',
        'shipping_address_collection',
        'shipping_options',
        'submit_type',
        'subscription_data[application_fee_percent]',
        'subscription_data[billing_cycle_anchor_config]',
        'subscription_data[default_tax_rates]',
        'subscription_data[invoice_settings]',
        'subscription_data[on_behalf_of]',
        'subscription_data[pending_invoice_item_interval]',
        'subscription_data[transfer_data]',
        'tax_id_collection',
        'wallet_options',
      ],
      run: createSession,
    }),
    route({
      method: 'GET',
      path: '/v1/checkout/sessions/{id}',
      params: {},
      run: (context, _params, id) => context.find('checkout.session', id),
    }),
    route({
      method: 'POST',
      path: '/v1/checkout/sessions/{id}',
      params: { metadata: metadata().optional() },
      unsupported: ['collected_information', 'line_items', 'shipping_options'],
      run: (context, { metadata: change }, id) => {
        const before = context.find('checkout.session', id);
        const after = { ...before, metadata: applyMetadata(before.metadata ?? {}, change) };
        context.store.put(after); // Stripe has no event for it
        return after;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/checkout/sessions',
      params: {
        ...timedPageParams,
        customer: text().optional(),
        customer_details: hash({ email: text() }).optional(),
        payment_intent: text().optional(),
        status: oneOf('complete', 'expired', 'open').optional(),
        subscription: text().optional(),
      },
      unsupported: ['customer_account', 'payment_link'],
      run: (context, { customer, customer_details, payment_intent, status, subscription, ...page }) =>
        paginate(
          context,
          context.store.list('checkout.session'),
          page,
          (session) =>
            (customer === undefined || session.customer === customer) &&
            (customer_details === undefined || session.customer_details?.email === customer_details.email) &&
            (payment_intent === undefined || refId(session.payment_intent) === payment_intent) &&
            (status === undefined || session.status === status) &&
            (subscription === undefined || session.subscription === subscription),
        ),
    }),
    route({
      method: 'POST',
      path: '/v1/checkout/sessions/{id}/expire',
      params: {},
      run: (context, _params, id) => expireSession(context, context.find('checkout.session', id)),
    }),
    route({
      method: 'GET',
      path: '/v1/checkout/sessions/{id}/line_items',
      params: pageParams,
      run: (context, _page, id) => {
        const { line_items } = context.find('checkout.session', id);
        return line_items ?? listInside(`/v1/checkout/sessions/${id}/line_items`, []);
      },
    }),
  ],
  controls: checkoutPages,
};
