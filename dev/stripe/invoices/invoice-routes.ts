import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { pageParams, paginate, timedPageParams } from '../api/page.ts';
import { boolean, clearable, currency, isInRange, oneOf, text, timeRange } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest, noSuchObject } from '../api/stripe-error.ts';
import { findCustomer, ownerOf, timeOf } from '../customers/customer-time.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { findCustomerMethod } from '../payments/payment-methods.ts';
import { DRAFT_SECONDS, createDraft } from './drafts.ts';
import { finalizeInvoice } from './finalize.ts';
import { listPendingItems } from './invoice-items.ts';
import { payInvoice } from './pay.ts';
import { markUncollectible, voidInvoice } from './settle.ts';

const unsupportedOnCreate = [
  'account_tax_ids',
  'application_fee_amount',
  'automatic_tax',
  'automatically_finalizes_at',
  'collection_method',
  'custom_fields',
  'customer_account',
  'days_until_due',
  'default_source',
  'default_tax_rates',
  'discounts',
  'due_date',
  'effective_at',
  'footer',
  'from_invoice',
  'issuer',
  'number',
  'on_behalf_of',
  'payment_settings',
  'rendering',
  'shipping_cost',
  'shipping_details',
  'statement_descriptor',
  'transfer_data',
];

/** The invoice of a change, whose customer's clock stands. */
function findInvoice(context: Context, id: string): Stripe.Invoice {
  const invoice = context.find('invoice', id);
  ownerOf(context, invoice);
  return invoice;
}

function subscriptionIdOf(invoice: Stripe.Invoice): string | null {
  return refId(invoice.parent?.subscription_details?.subscription);
}

interface ManualInvoice {
  readonly auto_advance?: boolean | undefined;
  readonly currency?: string | undefined;
  readonly default_payment_method?: string | undefined;
  readonly description?: string | undefined;
  readonly metadata?: Parameters<typeof applyMetadata>[1];
  readonly pending_invoice_items_behavior?: 'exclude' | 'include' | undefined;
  readonly subscription?: string | undefined;
}

function createInvoice(context: Context, customer: Stripe.Customer, given: ManualInvoice): Stripe.Invoice {
  const subscription =
    given.subscription === undefined
      ? undefined
      : context.find('subscription', given.subscription, 'subscription');
  const money = subscription?.currency ?? given.currency ?? customer.currency ?? 'usd';
  const takesItems = subscription !== undefined || given.pending_invoice_items_behavior === 'include';
  const items = takesItems
    ? listPendingItems(context, { customer: customer.id, currency: money, subscription: subscription?.id })
    : [];
  if (subscription !== undefined && items.length === 0)
    throw invalidRequest('Nothing to invoice for subscription', {
      code: 'invoice_no_subscription_line_items',
    });
  const now = timeOf(context, customer);
  return createDraft(context, {
    customer,
    subscription,
    reason: subscription === undefined ? 'manual' : 'subscription_update',
    currency: money,
    lines: [],
    items,
    discounts: [],
    period: { start: now, end: now },
    autoAdvance: given.auto_advance ?? false,
    metadata: applyMetadata({}, given.metadata),
    description: given.description ?? null,
    defaultPaymentMethod: given.default_payment_method ?? null,
  });
}

interface InvoiceChange {
  readonly auto_advance?: boolean | undefined;
  readonly default_payment_method?: string | null | undefined;
  readonly description?: string | null | undefined;
  readonly metadata?: Parameters<typeof applyMetadata>[1];
}

function changeInvoice(context: Context, before: Stripe.Invoice, change: InvoiceChange): Stripe.Invoice {
  const { default_payment_method: method, description = before.description } = change;
  const isDraft = before.status === 'draft';
  const auto = change.auto_advance ?? before.auto_advance ?? false;
  const finalizesAt =
    isDraft && auto ? (before.automatically_finalizes_at ?? before.created + DRAFT_SECONDS) : null;
  if (method != null)
    findCustomerMethod(context, refId(before.customer) ?? '', method, 'default_payment_method');
  return context.change('invoice.updated', before, {
    ...before,
    auto_advance: auto,
    automatically_finalizes_at: finalizesAt,
    default_payment_method: method === undefined ? before.default_payment_method : method,
    description,
    metadata: applyMetadata(before.metadata ?? {}, change.metadata),
    next_payment_attempt: isDraft ? finalizesAt : auto ? before.next_payment_attempt : null,
  });
}

function deleteDraft(context: Context, id: string): DeletedObject<'invoice'> {
  const invoice = findInvoice(context, id);
  if (invoice.status !== 'draft' || subscriptionIdOf(invoice) !== null)
    throw invalidRequest('You can only delete draft invoices that belong to no subscription.', {
      code: 'invoice_not_editable',
    });
  for (const item of context.store.list('invoiceitem', ({ invoice: of }) => of === id)) {
    context.store.remove('invoiceitem', item.id);
    context.emit('invoiceitem.deleted', item);
  }
  context.store.remove('invoice', id);
  context.emit('invoice.deleted', invoice);
  return { id, object: 'invoice', deleted: true };
}

export const invoices: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/invoices',
      params: {
        auto_advance: boolean().optional(),
        currency: currency().optional(),
        customer: text(),
        default_payment_method: text().optional(),
        description: text().optional(),
        metadata: metadata().optional(),
        pending_invoice_items_behavior: oneOf('exclude', 'include').optional(),
        subscription: text().optional(),
      },
      unsupported: unsupportedOnCreate,
      run: (context, { customer, ...given }) =>
        createInvoice(context, findCustomer(context, customer), given),
    }),
    route({
      method: 'GET',
      path: '/v1/invoices/{id}',
      params: {},
      run: (context, _params, id) => context.find('invoice', id),
    }),
    route({
      method: 'POST',
      path: '/v1/invoices/{id}',
      params: {
        auto_advance: boolean().optional(),
        default_payment_method: clearable(text()).optional(),
        description: clearable(text()).optional(),
        metadata: metadata().optional(),
      },
      unsupported: unsupportedOnCreate.filter(
        (name) => name !== 'customer_account' && name !== 'from_invoice',
      ),
      run: (context, change, id) => changeInvoice(context, findInvoice(context, id), change),
    }),
    route({
      method: 'GET',
      path: '/v1/invoices',
      params: {
        ...timedPageParams,
        collection_method: oneOf('charge_automatically', 'send_invoice').optional(),
        customer: text().optional(),
        due_date: timeRange().optional(),
        status: oneOf('draft', 'open', 'paid', 'uncollectible', 'void').optional(),
        subscription: text().optional(),
      },
      unsupported: ['customer_account'],
      run: (context, { collection_method, customer, due_date, status, subscription, ...page }) =>
        paginate(
          context,
          context.store.list('invoice'),
          page,
          (invoice) =>
            (customer === undefined || invoice.customer === customer) &&
            (status === undefined || invoice.status === status) &&
            (subscription === undefined || subscriptionIdOf(invoice) === subscription) &&
            (collection_method === undefined || invoice.collection_method === collection_method) &&
            (due_date === undefined || isInRange(invoice.due_date ?? 0, due_date)),
        ),
    }),
    route({
      method: 'DELETE',
      path: '/v1/invoices/{id}',
      params: {},
      run: (context, _params, id) => deleteDraft(context, id),
    }),
    route({
      method: 'GET',
      path: '/v1/invoices/{id}/lines',
      params: pageParams,
      run: (context, { limit = 10, starting_after, ending_before }, id) => {
        const { data } = context.find('invoice', id).lines;
        const indexOf = (line: string, param: string): number => {
          const index = data.findIndex((one) => one.id === line);
          if (index < 0) throw noSuchObject('line_item', line, param);
          return index;
        };
        const from = starting_after === undefined ? 0 : indexOf(starting_after, 'starting_after') + 1;
        const to = ending_before === undefined ? data.length : indexOf(ending_before, 'ending_before');
        const found = data.slice(from, to);
        const shown = ending_before === undefined ? found.slice(0, limit) : found.slice(-limit);
        const isMore = found.length > shown.length;
        return { object: 'list', data: shown, has_more: isMore, url: `/v1/invoices/${id}/lines` };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/invoices/{id}/finalize',
      params: { auto_advance: boolean().optional() },
      run: (context, { auto_advance }, id) => {
        const draft = findInvoice(context, id);
        const invoice = finalizeInvoice(context, draft);
        if (auto_advance === undefined || invoice.status === 'paid') return invoice;
        const next = auto_advance ? timeOf(context, ownerOf(context, invoice)) + DRAFT_SECONDS : null;
        return context.change('invoice.updated', invoice, {
          ...invoice,
          auto_advance,
          next_payment_attempt: next,
        });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/invoices/{id}/pay',
      params: { off_session: boolean().optional(), payment_method: text().optional() },
      unsupported: ['forgive', 'mandate', 'paid_out_of_band', 'source'],
      run: (context, { payment_method }, id) => {
        const invoice = findInvoice(context, id);
        const method =
          payment_method === undefined
            ? undefined
            : findCustomerMethod(context, refId(invoice.customer) ?? '', payment_method, 'payment_method');
        return payInvoice(context, invoice, method);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/invoices/{id}/void',
      params: {},
      run: (context, _params, id) => voidInvoice(context, findInvoice(context, id)),
    }),
    route({
      method: 'POST',
      path: '/v1/invoices/{id}/mark_uncollectible',
      params: {},
      run: (context, _params, id) => markUncollectible(context, findInvoice(context, id)),
    }),
  ],
};
