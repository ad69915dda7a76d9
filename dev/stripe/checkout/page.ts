import type Stripe from 'stripe';
import type { ControlAnswer, ControlRequest, ControlRoute } from '../api/control-route.ts';
import type { StandIn } from '../api/stand-in.ts';
import { describePrice } from '../invoices/lines.ts';
import { formatMoney } from '../invoices/money.ts';
import { cardFields, readCard, readField } from '../pages/card-form.ts';
import { alertOf, field } from '../pages/field.ts';
import type { Fault } from '../pages/field.ts';
import { html, renderPage } from '../pages/html.ts';
import type { Html } from '../pages/html.ts';
import { noSuchPage, performForm } from '../pages/perform.ts';
import { getOrder } from './order.ts';
import { applyPromotionCode, completeSession, noteDeclinedCard, removePromotionCode } from './session.ts';

type Session = Stripe.Checkout.Session;

/** The session of an address, which holds a secret beside the session's id: the id alone goes to the success page. */
function findSession({ store }: StandIn, [id = '', secret]: readonly string[]): Session {
  const session = store.get('checkout.session', id);
  if (session === undefined || getOrder({ store }, id)?.secret !== secret) throw noSuchPage();
  return session;
}

function successUrl({ success_url, id }: Session): string {
  return (success_url ?? '').replaceAll('{CHECKOUT_SESSION_ID}', id);
}

function isTrial(standIn: StandIn, { id }: Session): boolean {
  const order = getOrder(standIn, id);
  return order?.trial_days !== undefined || order?.trial_end !== undefined;
}

/** A free order may be completed without a card, where the session allows it. */
function takesCard({ payment_method_collection, amount_total, mode }: Session): boolean {
  return mode === 'setup' || payment_method_collection !== 'if_required' || amount_total !== 0;
}

/** `€0.005 each, billed by use`. */
function describeUse({ currency, unit_amount_decimal }: Stripe.Price): string {
  return `${formatMoney(unit_amount_decimal ?? 0, currency)} each, billed by use`;
}

function itemsTable(session: Session): Html {
  const money = (amount: number | null): string => formatMoney(amount ?? 0, session.currency ?? 'usd');
  const items = session.line_items?.data ?? [];
  const discount = session.total_details?.amount_discount ?? 0;
  return html`<table>
    <tbody>
      ${items.map(
        ({ price, quantity, description, amount_subtotal }) =>
          html`<tr>
            <td>
              ${quantity === null ? '' : html`${quantity} × `}${description}
              ${price !== null && html`(${quantity === null ? describeUse(price) : describePrice(price)})`}
            </td>
            <td>${money(amount_subtotal)}</td>
          </tr>`,
      )}
      ${
        discount > 0 &&
        html`<tr>
          <td>Discount</td>
          <td>${money(-discount)}</td>
        </tr>`
      }
      <tr>
        <th scope="row">Due today</th>
        <td><strong>${money(session.amount_total)}</strong></td>
      </tr>
    </tbody>
  </table>`;
}

/** What a page that comes back says of what was typed. */
interface Refusal extends Fault {
  readonly typed: ControlRequest['body'];
}

function codeForm(session: Session, refusal: Refusal | undefined): Html | undefined {
  if (session.allow_promotion_codes !== true) return undefined;
  if ((session.discounts ?? []).length > 0)
    return html`<form method="post">
      <p role="status">The promotion code is applied.</p>
      ${refusal?.field === 'promotion_code' && alertOf(refusal)}
      <button name="action" value="remove-code">Remove code</button>
    </form>`;
  const name = 'promotion_code';
  const typed = refusal?.field === name ? readField(refusal.typed, name) : '';
  return html`<form method="post">
    ${field(
      { name, label: 'Promotion code', attributes: html`autocomplete="off" required value="${typed}"` },
      refusal,
    )}
    <button name="action" value="apply-code">Apply code</button>
  </form>`;
}

function payForm(standIn: StandIn, session: Session, refusal: Refusal | undefined): Html {
  const needsEmail = session.customer === null && session.customer_email === null && session.mode !== 'setup';
  const verb = isTrial(standIn, session) ? 'Start trial' : 'Subscribe';
  const email = readField(refusal?.typed ?? {}, 'email');
  const isOfCard = refusal?.field !== 'email' && refusal?.field !== 'promotion_code';
  return html`<form method="post">
    ${
      needsEmail &&
      field(
        {
          name: 'email',
          label: 'Email',
          attributes: html`type="email" autocomplete="email" required value="${email}"`,
        },
        refusal,
      )
    }
    ${takesCard(session) ? cardFields(isOfCard ? refusal : undefined) : isOfCard && alertOf(refusal)}
    <button class="main" name="action" value="pay">${session.mode === 'setup' ? 'Save card' : verb}</button>
  </form>`;
}

function showClosed(session: Session): ControlAnswer {
  const isDone = session.status === 'complete';
  const text = isDone ? 'This is done. Nothing is left to pay here.' : 'This checkout has expired.';
  const [link, label] = isDone ? [successUrl(session), 'Continue'] : [session.cancel_url, 'Back'];
  const body = html`<p role="status">${text}</p>
    ${link !== null && html`<p><a href="${link}">${label}</a></p>`}`;
  return { status: isDone ? 200 : 410, html: renderPage('Checkout', body) };
}

function showSession(standIn: StandIn, session: Session, refusal?: Refusal): ControlAnswer {
  if (session.status !== 'open') return showClosed(session);
  const title = session.mode === 'setup' ? 'Save a card' : 'Checkout';
  const body = html`${session.mode === 'subscription' && itemsTable(session)} ${codeForm(session, refusal)}
  ${payForm(standIn, session, refusal)}
  ${session.cancel_url !== null && html`<p><a href="${session.cancel_url}">Cancel and go back</a></p>`}`;
  return { status: refusal === undefined ? 200 : 402, html: renderPage(title, body) };
}

function checkEmail(session: Session, email: string): Fault | undefined {
  const isKnown = session.customer !== null || session.customer_email !== null || session.mode === 'setup';
  return isKnown || /^[^\s@]+@[^\s@]+$/.test(email)
    ? undefined
    : { fault: 'Your email is incomplete.', field: 'email' };
}

function pay(standIn: StandIn, session: Session, { body, path }: ControlRequest): ControlAnswer {
  if (session.status === 'complete') return { redirect: successUrl(session) };
  if (session.status !== 'open') return showClosed(session);
  const email = readField(body, 'email');
  const fault = checkEmail(session, email);
  if (fault !== undefined) return showSession(standIn, session, { ...fault, typed: body });
  const card = takesCard(session) ? readCard(body, standIn.now() / 1000) : undefined;
  if (card !== undefined && 'fault' in card) return showSession(standIn, session, { ...card, typed: body });
  const outcome = performForm(
    standIn,
    path,
    (context) => completeSession(context, context.find('checkout.session', session.id), { email, card }),
    (context) => {
      if (card !== undefined && session.mode === 'subscription') noteDeclinedCard(context, session, card);
    },
  );
  return 'fault' in outcome
    ? showSession(standIn, session, { ...outcome, typed: body })
    : { redirect: successUrl(outcome.result) };
}

function changeCode(standIn: StandIn, session: Session, { body, path }: ControlRequest): ControlAnswer {
  const outcome = performForm(standIn, path, (context) => {
    const before = context.find('checkout.session', session.id);
    if (readField(body, 'action') === 'remove-code') return removePromotionCode(context, before);
    return applyPromotionCode(context, before, readField(body, 'promotion_code'));
  });
  return 'fault' in outcome
    ? showSession(standIn, session, { ...outcome, field: 'promotion_code', typed: body })
    : showSession(standIn, outcome.result);
}

const PATH = '/_stand-in/pages/checkout/{id}/{secret}';

export const checkoutPages: readonly ControlRoute[] = [
  {
    method: 'GET',
    path: PATH,
    access: 'page',
    run: (standIn, { ids }) => showSession(standIn, findSession(standIn, ids)),
  },
  {
    method: 'POST',
    path: PATH,
    access: 'page',
    run: (standIn, request) => {
      const session = findSession(standIn, request.ids);
      const action = readField(request.body, 'action');
      return action === 'apply-code' || action === 'remove-code'
        ? changeCode(standIn, session, request)
        : pay(standIn, session, request);
    },
  },
];
