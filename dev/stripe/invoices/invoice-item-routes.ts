import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { boolean, currency, hash, integer, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest, noSuchObject } from '../api/stripe-error.ts';
import { findCustomer, ownerOf } from '../customers/customer-time.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { refId } from '../objects/refs.ts';
import { recomputeDraft } from './drafts.ts';
import { createInvoiceItem, deleteInvoiceItem } from './invoice-items.ts';
import { lineOfInvoiceItem, productName } from './lines.ts';
import { priceQuantity } from './money.ts';

interface Priced {
  readonly amount: number;
  readonly currency: string;
  readonly price?: Stripe.Price;
  readonly description: string | null;
}

interface PriceRequest {
  readonly amount?: number | undefined;
  readonly currency?: string | undefined;
  readonly description?: string | undefined;
  readonly pricing?: { readonly price?: string | undefined } | undefined;
  readonly quantity?: number | undefined;
}

function findAmount(context: Context, given: PriceRequest): Priced {
  const { amount, pricing, quantity = 1, description = null } = given;
  if (pricing?.price !== undefined) {
    const price = context.find('price', pricing.price, 'pricing[price]');
    if (price.type !== 'one_time')
      throw invalidRequest(
        'The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.',
        { param: 'pricing[price]' },
      );
    const named = description ?? productName(context, price);
    return { amount: priceQuantity(price, quantity), currency: price.currency, price, description: named };
  }
  if (amount === undefined || given.currency === undefined)
    throw invalidRequest('You must pass pricing[price], or amount and currency.', {
      code: 'parameter_missing',
      param: amount === undefined ? 'amount' : 'currency',
    });
  return { amount: amount * quantity, currency: given.currency, description };
}

/** Adds a line to a draft, or takes one away, as its invoice items change. */
function changeDraftLines(
  context: Context,
  invoice: string,
  change: (lines: readonly Stripe.InvoiceLineItem[]) => readonly Stripe.InvoiceLineItem[],
): void {
  const draft = context.find('invoice', invoice, 'invoice');
  if (draft.status !== 'draft')
    throw invalidRequest('You can only change the items of an invoice that is a draft.', {
      code: 'invoice_not_editable',
      param: 'invoice',
    });
  context.change('invoice.updated', draft, recomputeDraft(context, draft, change(draft.lines.data)));
}

function lineItemId(line: Stripe.InvoiceLineItem): string | null | undefined {
  return (
    line.parent?.invoice_item_details?.invoice_item ?? line.parent?.subscription_item_details?.invoice_item
  );
}

export const invoiceItems: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/invoiceitems',
      params: {
        amount: integer().optional(),
        currency: currency().optional(),
        customer: text(),
        description: text().optional(),
        discountable: boolean().optional(),
        invoice: text().optional(),
        metadata: metadata().optional(),
        period: hash({ end: timestamp(), start: timestamp() }).optional(),
        pricing: hash({ price: text().optional() }).optional(),
        quantity: integer({ min: 1 }).optional(),
        subscription: text().optional(),
      },
      unsupported: [
        'customer_account',
        'discounts',
        'price_data',
        'quantity_decimal',
        'tax_behavior',
        'tax_code',
        'tax_rates',
        'unit_amount_decimal',
      ],
      run: (context, { metadata: change, ...given }) => {
        const customer = findCustomer(context, given.customer);
        if (given.subscription !== undefined)
          context.find('subscription', given.subscription, 'subscription');
        const item = createInvoiceItem(context, {
          ...given,
          ...findAmount(context, given),
          customer,
          metadata: applyMetadata({}, change),
        });
        if (given.invoice !== undefined)
          changeDraftLines(context, given.invoice, (lines) => [...lines, lineOfInvoiceItem(item)]);
        return item;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/invoiceitems/{id}',
      params: {},
      run: (context, _params, id) => context.find('invoiceitem', id),
    }),
    route({
      method: 'GET',
      path: '/v1/invoiceitems',
      params: {
        ...timedPageParams,
        customer: text().optional(),
        invoice: text().optional(),
        pending: boolean().optional(),
      },
      unsupported: ['customer_account'],
      run: (context, { customer, invoice, pending, ...page }) =>
        paginate(
          context,
          context.store.list('invoiceitem'),
          page,
          (item) =>
            (customer === undefined || item.customer === customer) &&
            (invoice === undefined || item.invoice === invoice) &&
            (pending === undefined || pending === (item.invoice === null)),
        ),
    }),
    route({
      method: 'DELETE',
      path: '/v1/invoiceitems/{id}',
      params: {},
      run: (context, _params, id): DeletedObject<'invoiceitem'> => {
        const item = context.store.get('invoiceitem', id);
        if (item === undefined) throw noSuchObject('invoiceitem', id);
        ownerOf(context, item);
        deleteInvoiceItem(context, item);
        const invoice = refId(item.invoice);
        if (invoice !== null)
          changeDraftLines(context, invoice, (lines) => lines.filter((line) => lineItemId(line) !== id));
        return { id, object: 'invoiceitem', deleted: true };
      },
    }),
  ],
};
