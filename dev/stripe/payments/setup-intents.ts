import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { boolean, oneOf, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { record } from '../api/record.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { findCustomer } from '../customers/customer-time.ts';
import { randomLetters } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { cardError } from './card-error.ts';
import { attachMethod, cardOf, findMethod } from './payment-methods.ts';

interface NewSetup {
  readonly customer: string | null;
  readonly description?: string | null;
  readonly metadata?: Record<string, string>;
  readonly method?: string | null;
  readonly usage?: 'off_session' | 'on_session';
}

/** A new intent to keep a card for later. */
export function createSetupIntent(context: Context, given: NewSetup): Stripe.SetupIntent {
  const id = context.newId('setup_intent');
  const method = given.method ?? null;
  return context.create('setup_intent.created', {
    id,
    object: 'setup_intent',
    allowed_payment_method_types: null,
    application: null,
    automatic_payment_methods: null,
    cancellation_reason: null,
    client_secret: `${id}_secret_${randomLetters(25)}`,
    created: context.now(),
    customer: given.customer,
    description: given.description ?? null,
    excluded_payment_method_types: null,
    flow_directions: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: false,
    mandate: null,
    metadata: given.metadata ?? {},
    next_action: null,
    on_behalf_of: null,
    payment_method: method,
    payment_method_configuration_details: null,
    payment_method_options: null,
    payment_method_types: ['card'],
    single_use_mandate: null,
    status: method === null ? 'requires_payment_method' : 'requires_confirmation',
    usage: given.usage ?? 'off_session',
  });
}

/** Keeps the card for its customer. Throws 402 where the card is declined; the intent then waits for another. */
export function confirmSetupIntent(
  context: Context,
  intent: Stripe.SetupIntent,
  method: Stripe.PaymentMethod,
): Stripe.SetupIntent {
  if (intent.status === 'succeeded' || intent.status === 'canceled')
    throw invalidRequest(`You cannot confirm this SetupIntent because it has a status of ${intent.status}.`, {
      code: 'setup_intent_unexpected_state',
    });
  const { decline, declinesLater = false } = cardOf(method);
  if (decline !== undefined && !declinesLater) {
    record(context, 'setup_intent.setup_failed', {
      ...intent,
      last_setup_error: {
        code: decline.code,
        decline_code: decline.declineCode,
        message: decline.message,
        payment_method: method,
        type: 'card_error',
      },
      payment_method: null,
      status: 'requires_payment_method',
    });
    throw cardError({ decline, keepsChanges: true });
  }
  const customer = refId(intent.customer);
  if (customer !== null) attachMethod(context, method, customer);
  return record(context, 'setup_intent.succeeded', {
    ...intent,
    last_setup_error: null,
    payment_method: method.id,
    status: 'succeeded',
  });
}

export const setupIntents: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/setup_intents',
      params: {
        confirm: boolean().optional(),
        customer: text().optional(),
        description: text().optional(),
        metadata: metadata().optional(),
        payment_method: text().optional(),
        usage: oneOf('off_session', 'on_session').optional(),
      },
      unsupported: [
        'allowed_payment_method_types',
        'attach_to_self',
        'automatic_payment_methods',
        'confirmation_token',
        'customer_account',
        'excluded_payment_method_types',
        'flow_directions',
        'mandate_data',
        'on_behalf_of',
        'payment_method_configuration',
        'payment_method_data',
        'payment_method_options',
        'return_url',
        'single_use',
        'use_stripe_sdk',
      ],
      run: (context, { confirm = false, metadata: change, ...given }) => {
        const customer = given.customer === undefined ? null : findCustomer(context, given.customer).id;
        const method =
          given.payment_method === undefined ? undefined : findMethod(context, given.payment_method);
        const intent = createSetupIntent(context, {
          customer,
          description: given.description ?? null,
          metadata: applyMetadata({}, change),
          method: method?.id ?? null,
          usage: given.usage ?? 'off_session',
        });
        return confirm && method !== undefined ? confirmSetupIntent(context, intent, method) : intent;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/setup_intents/{id}',
      params: {},
      unsupported: ['client_secret'],
      run: (context, _params, id) => context.find('setup_intent', id),
    }),
    route({
      method: 'GET',
      path: '/v1/setup_intents',
      params: { ...timedPageParams, customer: text().optional(), payment_method: text().optional() },
      unsupported: ['attach_to_self', 'customer_account'],
      run: (context, { customer, payment_method, ...page }) =>
        paginate(
          context,
          context.store.list('setup_intent'),
          page,
          (intent) =>
            (customer === undefined || intent.customer === customer) &&
            (payment_method === undefined || intent.payment_method === payment_method),
        ),
    }),
    route({
      method: 'POST',
      path: '/v1/setup_intents/{id}/confirm',
      params: { payment_method: text().optional() },
      unsupported: [
        'confirmation_token',
        'mandate_data',
        'payment_method_data',
        'payment_method_options',
        'return_url',
        'use_stripe_sdk',
      ],
      run: (context, { payment_method }, id) => {
        const intent = context.find('setup_intent', id);
        const method = payment_method ?? refId(intent.payment_method);
        if (method === null)
          throw invalidRequest('You cannot confirm this SetupIntent because it is missing a payment method.');
        return confirmSetupIntent(context, intent, findMethod(context, method));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/setup_intents/{id}/cancel',
      params: { cancellation_reason: oneOf('abandoned', 'duplicate', 'requested_by_customer').optional() },
      run: (context, { cancellation_reason = null }, id) => {
        const intent = context.find('setup_intent', id);
        if (intent.status === 'succeeded' || intent.status === 'canceled')
          throw invalidRequest(
            `You cannot cancel this SetupIntent because it has a status of ${intent.status}.`,
          );
        return record(context, 'setup_intent.canceled', {
          ...intent,
          cancellation_reason,
          status: 'canceled',
        });
      },
    }),
  ],
};
