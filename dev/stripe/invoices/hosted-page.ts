import type Stripe from 'stripe';
import type { ControlAnswer, ControlRequest, ControlRoute } from '../api/control-route.ts';
import type { Part } from '../api/part.ts';
import type { StandIn } from '../api/stand-in.ts';
import { ownerOf } from '../customers/customer-time.ts';
import { cardFields, readCard, readField } from '../pages/card-form.ts';
import { alertOf } from '../pages/field.ts';
import type { Fault } from '../pages/field.ts';
import { formatDay, formatStatus, html, renderPage } from '../pages/html.ts';
import type { Html } from '../pages/html.ts';
import { noSuchPage, performForm } from '../pages/perform.ts';
import { attachMethod, createCardMethod } from '../payments/payment-methods.ts';
import { formatMoney } from './money.ts';
import { findInvoiceMethod, payInvoice } from './pay.ts';

/** The invoice of an address that was given out; its secret is part of it. */
function findInvoice({ store }: StandIn, { ids: [id = ''], path }: ControlRequest): Stripe.Invoice {
  const invoice = store.get('invoice', id);
  const url = invoice?.hosted_invoice_url;
  if (invoice === undefined || url == null || new URL(url).pathname !== path) throw noSuchPage();
  return invoice;
}

/** What went wrong, and in which of the two forms. */
interface Refusal extends Fault {
  readonly isSaved: boolean;
}

function payForms(standIn: StandIn, invoice: Stripe.Invoice, refusal?: Refusal): Html | undefined {
  if (invoice.status !== 'open' && invoice.status !== 'uncollectible') return undefined;
  const card = standIn.perform(null, (context) => findInvoiceMethod(context, invoice)?.card);
  const due = formatMoney(invoice.amount_remaining, invoice.currency);
  return html`${
      card !== undefined &&
      html`<section>
        <h2>Pay with the saved card</h2>
        <form method="post">
          ${refusal?.isSaved === true && alertOf(refusal)}
          <button class="main" name="action" value="pay-saved">
            Pay ${due} with the card ending in ${card.last4}
          </button>
        </form>
      </section>`
    }
    <section>
      <h2>${card === undefined ? 'Pay with a card' : 'Pay with another card'}</h2>
      <form method="post">
        ${cardFields(refusal?.isSaved === false ? refusal : undefined)}
        <button class="main" name="action" value="pay">Pay ${due}</button>
      </form>
    </section>`;
}

function showInvoice(standIn: StandIn, invoice: Stripe.Invoice, refusal?: Refusal): ControlAnswer {
  const { currency } = invoice;
  const body = html`<p>Status: ${formatStatus(invoice.status)}. Issued on ${formatDay(invoice.created)}.</p>
    ${invoice.status === 'paid' && html`<p role="status">This invoice is paid. Nothing is left to pay.</p>`}
    ${invoice.status !== 'open' && refusal !== undefined && alertOf(refusal)}
    <table>
      <tbody>
        ${invoice.lines.data.map(
          ({ description, amount }) =>
            html`<tr>
              <td>${description}</td>
              <td>${formatMoney(amount, currency)}</td>
            </tr>`,
        )}
        <tr>
          <th scope="row">Total</th>
          <td>${formatMoney(invoice.total, currency)}</td>
        </tr>
        <tr>
          <th scope="row">Due</th>
          <td><strong>${formatMoney(invoice.amount_remaining, currency)}</strong></td>
        </tr>
      </tbody>
    </table>
    ${payForms(standIn, invoice, refusal)}`;
  return {
    status: refusal === undefined ? 200 : 402,
    html: renderPage(`Invoice ${invoice.number ?? ''}`, body),
  };
}

function pay(standIn: StandIn, { id }: Stripe.Invoice, { body, path }: ControlRequest): ControlAnswer {
  const isSaved = readField(body, 'action') === 'pay-saved';
  const card = isSaved ? undefined : readCard(body, standIn.now() / 1000);
  const show = (wrong?: Fault): ControlAnswer => {
    const invoice = standIn.store.get('invoice', id);
    if (invoice === undefined) throw noSuchPage();
    return showInvoice(standIn, invoice, wrong && { ...wrong, isSaved });
  };
  if (card !== undefined && 'fault' in card) return show(card);
  const outcome = performForm(standIn, path, (context) => {
    const invoice = context.find('invoice', id);
    const customer = ownerOf(context, invoice);
    const method =
      card === undefined ? undefined : attachMethod(context, createCardMethod(context, card), customer.id);
    return payInvoice(context, invoice, method);
  });
  return show('fault' in outcome ? outcome : undefined);
}

const PATH = '/_stand-in/pages/invoices/{id}/{secret}';

const pages: readonly ControlRoute[] = [
  {
    method: 'GET',
    path: PATH,
    access: 'page',
    run: (standIn, request) => showInvoice(standIn, findInvoice(standIn, request)),
  },
  {
    method: 'POST',
    path: PATH,
    access: 'page',
    run: (standIn, request) => pay(standIn, findInvoice(standIn, request), request),
  },
];

/** Where `hosted_invoice_url` leads. */
export const hostedInvoices: Part = { controls: pages };
