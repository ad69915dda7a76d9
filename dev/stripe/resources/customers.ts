import type Stripe from 'stripe';
import type { z } from 'zod';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { clearable, hash, list, oneOf, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { noSuchObject } from '../api/stripe-error.ts';
import { endAllOf } from '../billing/cancellation.ts';
import { findCustomer } from '../customers/customer-time.ts';
import { makeCustomer } from '../customers/new-customer.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { attachMethod, findCustomerMethod, findMethod } from '../payments/payment-methods.ts';

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

type CustomerChange = z.output<z.ZodObject<typeof params>>;

/** The id of the payment method that a change names; a test token is attached first. */
function readDefaultMethod(
  context: Context,
  before: Stripe.Customer,
  given: string | null | undefined,
): Stripe.Customer.InvoiceSettings['default_payment_method'] {
  if (given === undefined) return before.invoice_settings.default_payment_method;
  if (given === null) return null;
  return findCustomerMethod(context, before.id, given, 'invoice_settings[default_payment_method]').id;
}

/** What a customer is after a change; what a change leaves out stays. */
function applyChange(context: Context, before: Stripe.Customer, change: CustomerChange): Stripe.Customer {
  const { invoice_settings: settings = {} } = change;
  const { footer = before.invoice_settings.footer } = settings;
  const default_payment_method = readDefaultMethod(context, before, settings.default_payment_method);
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

interface NewCustomer extends CustomerChange {
  readonly payment_method?: string | undefined;
  readonly test_clock?: string | undefined;
}

/** A new customer, with the card that is named; a test token may also be named as the default, and is the same card then. */
function createCustomer(context: Context, given: NewCustomer): Stripe.Customer {
  const { payment_method: token, test_clock = null, ...change } = given;
  const plain = makeCustomer(context, test_clock);
  if (token === undefined) return context.create('customer.created', applyChange(context, plain, change));
  const { invoice_settings: settings, ...others } = change;
  const method = findMethod(context, token);
  const isDefault = settings?.default_payment_method === token;
  const { default_payment_method: _default, ...otherSettings } = settings ?? {};
  const created = applyChange(context, plain, {
    ...others,
    invoice_settings: isDefault ? otherSettings : settings,
  });
  const customer: Stripe.Customer = isDefault
    ? { ...created, invoice_settings: { ...created.invoice_settings, default_payment_method: method.id } }
    : created;
  context.create('customer.created', customer);
  attachMethod(context, method, customer.id);
  return customer;
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
      params: { ...params, payment_method: text().optional(), test_clock: text().optional() },
      unsupported: [...unsupported, 'tax_id_data'],
      run: (context, given) => createCustomer(context, given),
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
        context.find('customer', id);
        const before = findCustomer(context, id);
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
        if (context.store.get('customer', id) === undefined) throw noSuchObject('customer', id);
        endAllOf(context, findCustomer(context, id));
        const customer = context.find('customer', id);
        context.store.remove('customer', id);
        context.emit('customer.deleted', customer);
        return { id, object: 'customer', deleted: true };
      },
    }),
  ],
};
