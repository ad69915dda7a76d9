import type Stripe from 'stripe';
import type { z } from 'zod';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { clearable, hash, list, oneOf, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest, noSuchObject } from '../api/stripe-error.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { randomLetters } from '../objects/kinds.ts';

const address = hash({
  city: clearable(text()).optional(),
  country: clearable(text()).optional(),
  line1: clearable(text()).optional(),
  line2: clearable(text()).optional(),
  postal_code: clearable(text()).optional(),
  state: clearable(text()).optional(),
});

const params = {
  address: clearable(address).optional(),
  description: clearable(text()).optional(),
  email: clearable(text({ max: 512 })).optional(),
  invoice_settings: hash({
    default_payment_method: clearable(text()).optional(),
    footer: clearable(text()).optional(),
  }).optional(),
  metadata: metadata().optional(),
  name: clearable(text()).optional(),
  phone: clearable(text({ max: 20 })).optional(),
  preferred_locales: list(text()).optional(),
  tax_exempt: clearable(oneOf('exempt', 'none', 'reverse')).optional(),
};

const unsupported = [
  'balance',
  'business_name',
  'cash_balance',
  'individual_name',
  'invoice_prefix',
  'invoice_settings[custom_fields]',
  'invoice_settings[rendering_options]',
  'next_invoice_sequence',
  'shipping',
  'source',
  'tax',
  'validate',
];

function makeAddress(given: z.output<typeof address>): Stripe.Address {
  const { city = null, country = null, line1 = null, line2 = null, postal_code = null, state = null } = given;
  return { city, country, line1, line2, postal_code, state };
}

/** A new customer that has only the defaults; `given` is the rest. */
function makeCustomer(context: Context, testClock: string | null): Stripe.Customer {
  return {
    id: context.newId('customer'),
    object: 'customer',
    address: null,
    balance: 0,
    created: context.now(testClock),
    currency: null,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: null,
    discount: null,
    email: null,
    invoice_prefix: randomLetters(8).toUpperCase(),
    invoice_settings: {
      custom_fields: null,
      default_payment_method: null,
      footer: null,
      rendering_options: null,
    },
    livemode: false,
    metadata: {},
    name: null,
    next_invoice_sequence: 1,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: testClock,
  };
}

type CustomerChange = z.output<z.ZodObject<typeof params>>;

function checkPaymentMethod(context: Context, customer: Stripe.Customer, id: string): void {
  const param = 'invoice_settings[default_payment_method]';
  const method = context.find('payment_method', id, param);
  if (method.customer !== customer.id)
    throw invalidRequest(`The customer does not have a payment method with the ID ${id}.`, { param });
}

/** What a customer is after a change; what a change leaves out stays. */
function applyChange(context: Context, before: Stripe.Customer, change: CustomerChange): Stripe.Customer {
  const { invoice_settings: settings = {} } = change;
  const { default_payment_method = before.invoice_settings.default_payment_method } = settings;
  const { footer = before.invoice_settings.footer } = settings;
  if (settings.default_payment_method != null)
    checkPaymentMethod(context, before, settings.default_payment_method);
  const { description = before.description, email = before.email, name = before.name ?? null } = change;
  return {
    ...before,
    address:
      change.address === undefined ? (before.address ?? null) : change.address && makeAddress(change.address),
    description,
    email,
    invoice_settings: { ...before.invoice_settings, default_payment_method, footer },
    metadata: applyMetadata(before.metadata, change.metadata),
    name,
    phone: change.phone === undefined ? (before.phone ?? null) : change.phone,
    preferred_locales: change.preferred_locales ?? before.preferred_locales ?? [],
    tax_exempt:
      change.tax_exempt === undefined ? (before.tax_exempt ?? 'none') : (change.tax_exempt ?? 'none'),
  };
}

function retrieveCustomer(context: Context, id: string): Stripe.Customer | DeletedObject<'customer'> {
  if (context.store.isRemoved('customer', id)) return { id, object: 'customer', deleted: true };
  return context.find('customer', id);
}

export const customers: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/customers',
      params: { ...params, test_clock: text().optional() },
      unsupported: [...unsupported, 'payment_method', 'tax_id_data'],
      run: (context, { test_clock = null, ...change }) =>
        context.create('customer.created', applyChange(context, makeCustomer(context, test_clock), change)),
    }),
    route({
      method: 'GET',
      path: '/v1/customers/{id}',
      params: {},
      run: (context, _params, id) => retrieveCustomer(context, id),
    }),
    route({
      method: 'POST',
      path: '/v1/customers/{id}',
      params,
      unsupported: [...unsupported, 'default_source'],
      run: (context, change, id) => {
        const before = context.find('customer', id);
        return context.change('customer.updated', before, applyChange(context, before, change));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/customers',
      params: { ...timedPageParams, email: text().optional(), test_clock: text().optional() },
      run: (context, { email, test_clock = null, ...page }) =>
        paginate(context, context.store.list('customer'), page, (customer) => {
          // As at Stripe, customers of a test clock are listed only for their clock.
          return (email === undefined || customer.email === email) && customer.test_clock === test_clock;
        }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/customers/{id}',
      params: {},
      run: (context, _params, id): DeletedObject<'customer'> => {
        const customer = context.store.get('customer', id);
        if (customer === undefined) throw noSuchObject('customer', id);
        context.store.remove('customer', id);
        context.emit('customer.deleted', customer);
        return { id, object: 'customer', deleted: true };
      },
    }),
  ],
};
