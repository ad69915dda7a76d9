import type Stripe from 'stripe';
import type { ControlAnswer, ControlRequest, ControlRoute } from '../api/control-route.ts';
import type { StandIn } from '../api/stand-in.ts';
import { findSubscriptionMethod } from '../invoices/pay.ts';
import { readCard, readField } from '../pages/card-form.ts';
import { noSuchPage, performForm } from '../pages/perform.ts';
import type { Result } from '../pages/perform.ts';
import { cancelInPortal, changePlan, keepInPortal, listLive, previewPlan, replaceCard } from './actions.ts';
import { showConfirmation, showHome } from './views.ts';
import type { PortalView } from './views.ts';

type Session = Stripe.BillingPortal.Session;

/** The session of an address that was given out; its secret is part of it. */
function findSession({ store }: StandIn, { ids: [id = ''], path }: ControlRequest): Session {
  const session = store.get('billing_portal.session', id);
  if (session === undefined || new URL(session.url).pathname !== path) throw noSuchPage();
  return session;
}

/** What the page shows, as it is now. */
function look(standIn: StandIn, session: Session): PortalView {
  return standIn.perform(null, (context) => {
    const customer = context.find('customer', session.customer);
    const subscriptions = listLive(context, customer.id);
    return {
      store: context.store,
      session,
      customer,
      subscriptions,
      method: findSubscriptionMethod(context, {
        customer: customer.id,
        default_payment_method: subscriptions[0]?.default_payment_method ?? null,
      }),
      invoices: context.store.list(
        'invoice',
        ({ customer: of, status }) => of === customer.id && status !== 'draft',
      ),
    };
  });
}

/** `subscription` is the one that a form was about; null: it was about the card. */
function home(
  standIn: StandIn,
  session: Session,
  outcome: Result<string>,
  subscription: string | null,
): ControlAnswer {
  const view = look(standIn, session);
  return 'fault' in outcome
    ? { status: 402, html: showHome(view, { refusal: { ...outcome, subscription } }) }
    : { html: showHome(view, { done: outcome.result }) };
}

/** A flow leads back to the app when it is done, if it says so. */
function finish(
  standIn: StandIn,
  session: Session,
  outcome: Result<string>,
  subscription: string | null,
): ControlAnswer {
  const to = session.flow?.after_completion.redirect?.return_url;
  return to !== undefined && !('fault' in outcome)
    ? { redirect: to }
    : home(standIn, session, outcome, subscription);
}

function preview(standIn: StandIn, session: Session, { body, path }: ControlRequest): ControlAnswer {
  const { customer } = session;
  const change = { subscription: readField(body, 'subscription'), price: readField(body, 'price') };
  const outcome = performForm(standIn, path, (context) => {
    const prorationDate = context.now(context.find('customer', customer).test_clock);
    const invoice = previewPlan(context, customer, { ...change, prorationDate });
    return { change: { ...change, prorationDate }, invoice };
  });
  if ('fault' in outcome) return home(standIn, session, outcome, change.subscription);
  return { html: showConfirmation(outcome.result.change, outcome.result.invoice) };
}

function change(standIn: StandIn, session: Session, { body, path }: ControlRequest): ControlAnswer {
  const subscription = readField(body, 'subscription');
  const outcome = performForm(standIn, path, (context) => {
    changePlan(context, session.customer, {
      subscription,
      price: readField(body, 'price'),
      prorationDate: Number(readField(body, 'proration_date')),
    });
    return 'Your plan is changed.';
  });
  return finish(standIn, session, outcome, subscription);
}

function replace(standIn: StandIn, session: Session, { body, path }: ControlRequest): ControlAnswer {
  const card = readCard(body, standIn.now() / 1000);
  if ('fault' in card) return home(standIn, session, card, null);
  const outcome = performForm(standIn, path, (context) => {
    replaceCard(context, session.customer, card);
    return 'Your new card is saved.';
  });
  return finish(standIn, session, outcome, null);
}

function act(standIn: StandIn, session: Session, request: ControlRequest): ControlAnswer {
  const { body, path } = request;
  const subscription = readField(body, 'subscription');
  switch (readField(body, 'action')) {
    case 'cancel':
      return finish(
        standIn,
        session,
        performForm(standIn, path, (context) => {
          cancelInPortal(context, session.customer, subscription);
          return 'Your subscription ends with its period.';
        }),
        subscription,
      );
    case 'keep':
      return finish(
        standIn,
        session,
        performForm(standIn, path, (context) => {
          keepInPortal(context, session.customer, subscription);
          return 'Your subscription goes on.';
        }),
        subscription,
      );
    case 'preview':
      return preview(standIn, session, request);
    case 'change':
      return change(standIn, session, request);
    case 'replace-card':
      return replace(standIn, session, request);
    default:
      return { html: showHome(look(standIn, session), {}) };
  }
}

const PATH = '/_stand-in/pages/portal/{id}/{secret}';

export const portalPages: readonly ControlRoute[] = [
  {
    method: 'GET',
    path: PATH,
    access: 'page',
    run: (standIn, request) => ({ html: showHome(look(standIn, findSession(standIn, request)), {}) }),
  },
  {
    method: 'POST',
    path: PATH,
    access: 'page',
    run: (standIn, request) => act(standIn, findSession(standIn, request), request),
  },
];
