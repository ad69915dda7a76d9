import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { describePrice } from '../invoices/lines.ts';
import { formatMoney } from '../invoices/money.ts';
import { refId } from '../objects/refs.ts';
import { cardFields } from '../pages/card-form.ts';
import { alertOf } from '../pages/field.ts';
import type { Fault } from '../pages/field.ts';
import { formatDay, formatStatus, html, renderPage } from '../pages/html.ts';
import type { Html } from '../pages/html.ts';
import { lastPeriodEnd } from '../subscriptions/items.ts';
import { listPlans, planItem } from './actions.ts';

export interface PortalView {
  readonly store: Context['store'];
  readonly session: Stripe.BillingPortal.Session;
  readonly customer: Stripe.Customer;
  readonly subscriptions: readonly Stripe.Subscription[];
  readonly method: Stripe.PaymentMethod | undefined;
  /** The newest first, without drafts. */
  readonly invoices: readonly Stripe.Invoice[];
}

/** What the page says of what a person has just done. */
export interface Message {
  /** What went wrong, and with which subscription; null: with the card. */
  readonly refusal?: Fault & { readonly subscription: string | null };
  readonly done?: string;
}

/** The parts of the page that a session shows: all, or the one that its flow is for. */
function shows({ session: { flow } }: PortalView, part: string): boolean {
  return flow === null || flow.type === part;
}

function nameOf({ store }: PortalView, price: Stripe.Price): string {
  const name = store.get('product', refId(price.product))?.name ?? 'Plan';
  return `${name}, ${describePrice(price)}`;
}

function describeNext(subscription: Stripe.Subscription): string {
  const { cancel_at, status, trial_end } = subscription;
  if (cancel_at !== null) return `Ends on ${formatDay(cancel_at)}.`;
  if (status === 'trialing' && trial_end !== null) return `Trial until ${formatDay(trial_end)}.`;
  return `Renews on ${formatDay(lastPeriodEnd(subscription))}.`;
}

function cancelForm({ id, cancel_at }: Stripe.Subscription): Html {
  const [action, label] = cancel_at === null ? ['cancel', 'Cancel subscription'] : ['keep', "Don't cancel"];
  return html`<form method="post">
    <input type="hidden" name="subscription" value="${id}" />
    <button name="action" value="${action}">${label}</button>
  </form>`;
}

function planForm(view: PortalView, subscription: Stripe.Subscription): Html | undefined {
  const plans = listPlans(view, subscription);
  if (plans.length === 0 || subscription.cancel_at !== null) return undefined;
  const field = `price-${subscription.id}`;
  return html`<form method="post">
    <input type="hidden" name="subscription" value="${subscription.id}" />
    <label for="${field}">New plan</label>
    <select id="${field}" name="price">
      ${plans.map((price) => html`<option value="${price.id}">${nameOf(view, price)}</option>`)}
    </select>
    <button name="action" value="preview">Change plan</button>
  </form>`;
}

function subscriptionSection(
  view: PortalView,
  subscription: Stripe.Subscription,
  { refusal }: Message,
): Html | undefined {
  const { flow } = view.session;
  const wanted = flow?.subscription_cancel?.subscription ?? flow?.subscription_update?.subscription;
  const mayCancel = shows(view, 'subscription_cancel');
  const mayChange = shows(view, 'subscription_update');
  if ((wanted !== undefined && wanted !== subscription.id) || (!mayCancel && !mayChange)) return undefined;
  const plan = planItem(subscription)?.price ?? subscription.items.data[0]?.price;
  return html`<section>
    <h2>${plan === undefined ? 'Subscription' : nameOf(view, plan)}</h2>
    <p>Status: ${formatStatus(subscription.status)}. ${describeNext(subscription)}</p>
    ${
      subscription.status === 'past_due' &&
      html`<p class="warning">The last payment has failed. Pay the open invoice, or save another card.</p>`
    }
    ${refusal?.subscription === subscription.id && alertOf(refusal)}
    ${mayChange && planForm(view, subscription)} ${mayCancel && cancelForm(subscription)}
  </section>`;
}

/** `Visa`. */
function nameBrand(brand: string): string {
  return brand.charAt(0).toUpperCase() + brand.slice(1);
}

function cardSection(view: PortalView, { refusal }: Message): Html | undefined {
  if (!shows(view, 'payment_method_update')) return undefined;
  const card = view.method?.card;
  return html`<section>
    <h2>Payment method</h2>
    <p>
      ${
        card === undefined
          ? 'No card is saved.'
          : html`${nameBrand(card.brand)} ending in ${card.last4}, expires ${card.exp_month}/${card.exp_year}`
      }
    </p>
    <form method="post">
      ${cardFields(refusal?.subscription === null ? refusal : undefined)}
      <button name="action" value="replace-card">Save new card</button>
    </form>
  </section>`;
}

function invoiceSection({ invoices, session }: PortalView): Html | undefined {
  if (session.flow !== null) return undefined;
  return html`<section>
    <h2>Invoices</h2>
    <table>
      ${
        invoices.length > 0 &&
        html`<thead>
          <tr>
            <th scope="col">Invoice</th>
            <th scope="col">Status</th>
            <th scope="col">Amount</th>
          </tr>
        </thead>`
      }
      <tbody>
        ${invoices.map(
          ({ number, created, status, hosted_invoice_url, total, currency }) =>
            html`<tr>
              <td>
                <a href="${hosted_invoice_url}">${number}</a>
                <br />${formatDay(created)}
              </td>
              <td>${formatStatus(status)}</td>
              <td>${formatMoney(total, currency)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    ${invoices.length === 0 && html`<p>There are no invoices yet.</p>`}
  </section>`;
}

export function showHome(view: PortalView, message: Message): string {
  const { customer, session, subscriptions } = view;
  const { done, refusal } = message;
  // A form can name a subscription that is not, or no longer, on the page.
  const isElsewhere =
    refusal !== undefined &&
    refusal.subscription !== null &&
    subscriptions.every(({ id }) => id !== refusal.subscription);
  const body = html`<p>${customer.name ?? customer.email ?? customer.id}</p>
    ${isElsewhere && alertOf(refusal)} ${done !== undefined && html`<p role="status">${done}</p>`}
    ${subscriptions.length === 0 && session.flow === null && html`<p>There is no subscription.</p>`}
    ${subscriptions.map((subscription) => subscriptionSection(view, subscription, message))}
    ${cardSection(view, message)} ${invoiceSection(view)}
    ${session.return_url !== null && html`<p><a href="${session.return_url}">Go back</a></p>`}`;
  return renderPage('Billing', body);
}

interface AskedChange {
  readonly subscription: string;
  readonly price: string;
  readonly prorationDate: number;
}

/** What a change of plan costs, before anyone agrees to it. */
export function showConfirmation(
  { subscription, price, prorationDate }: AskedChange,
  { lines, currency, amount_due, total }: Stripe.Invoice,
): string {
  const body = html`<p>Nothing is changed until you confirm.</p>
    <table>
      <tbody>
        ${lines.data.map(
          ({ description, amount }) =>
            html`<tr>
              <td>${description}</td>
              <td>${formatMoney(amount, currency)}</td>
            </tr>`,
        )}
        <tr>
          <th scope="row">Total</th>
          <td>${formatMoney(total, currency)}</td>
        </tr>
        <tr>
          <th scope="row">Due now</th>
          <td><strong>${formatMoney(amount_due, currency)}</strong></td>
        </tr>
      </tbody>
    </table>
    <form method="post">
      <input type="hidden" name="subscription" value="${subscription}" />
      <input type="hidden" name="price" value="${price}" />
      <input type="hidden" name="proration_date" value="${prorationDate}" />
      <button class="main" name="action" value="change">Confirm change</button>
    </form>
    <p><a href="">Go back without a change</a></p>`;
  return renderPage('Change plan', body);
}
