import type Stripe from 'stripe';
import type { z } from 'zod';
import type { Context } from '../api/context.ts';
import { pageParams, paginate } from '../api/page.ts';
import { boolean, hash, oneOf, supportedOf, text, unsupported } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { findCustomer } from '../customers/customer-time.ts';
import { randomLetters } from '../objects/kinds.ts';
import { defaultConfiguration } from './configuration.ts';
import { portalPages } from './page.ts';

type Session = Stripe.BillingPortal.Session;

const ofSubscription = hash({ subscription: text() });

const flowData = hash({
  after_completion: hash({
    hosted_confirmation: hash({ custom_message: text({ max: 500 }).optional() }).optional(),
    redirect: hash({ return_url: text() }).optional(),
    type: oneOf('hosted_confirmation', 'portal_homepage', 'redirect'),
  }).optional(),
  subscription_cancel: hash({
    retention: unsupported('flow_data[subscription_cancel][retention]'),
    subscription: text(),
  }).optional(),
  subscription_pause: unsupported('flow_data[subscription_pause]'),
  subscription_update: ofSubscription.optional(),
  subscription_update_confirm: unsupported('flow_data[subscription_update_confirm]'),
  type: supportedOf(
    'flow_data[type]',
    ['payment_method_update', 'subscription_cancel', 'subscription_update'],
    ['customer_update', 'subscription_pause', 'subscription_update_confirm'],
  ),
});

type FlowData = z.output<typeof flowData>;

function checkFlow(context: Context, customer: Stripe.Customer, { type, ...flow }: FlowData): void {
  if (type === 'payment_method_update') return;
  const param = `flow_data[${type}][subscription]`;
  const id = flow[type]?.subscription;
  if (id === undefined)
    throw invalidRequest(`Missing required param: ${param}.`, { code: 'parameter_missing', param });
  if (context.find('subscription', id, param).customer !== customer.id)
    throw invalidRequest(`The subscription ${id} does not belong to this customer.`, { param });
}

function makeFlow({ after_completion, type, ...flow }: FlowData): Session['flow'] {
  const { hosted_confirmation: confirmation, redirect = null } = after_completion ?? {};
  return {
    after_completion: {
      hosted_confirmation:
        confirmation === undefined ? null : { custom_message: confirmation.custom_message ?? null },
      redirect,
      type: after_completion?.type ?? 'portal_homepage',
    },
    customer_update: null,
    subscription_cancel:
      flow.subscription_cancel === undefined
        ? null
        : { retention: null, subscription: flow.subscription_cancel.subscription },
    subscription_pause: null,
    subscription_update: flow.subscription_update ?? null,
    subscription_update_confirm: null,
    type,
  };
}

export const portalSessions: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/billing_portal/sessions',
      params: {
        configuration: text().optional(),
        customer: text(),
        flow_data: flowData.optional(),
        locale: text().optional(),
        return_url: text().optional(),
      },
      unsupported: ['after_expiration', 'customer_account', 'on_behalf_of'],
      run: (
        context,
        { configuration, customer: customerId, flow_data, locale = null, return_url = null },
      ) => {
        const customer = findCustomer(context, customerId);
        const chosen =
          configuration === undefined
            ? defaultConfiguration(context)
            : context.find('billing_portal.configuration', configuration, 'configuration');
        if (flow_data !== undefined) checkFlow(context, customer, flow_data);
        const id = context.newId('billing_portal.session');
        const session: Session = {
          id,
          object: 'billing_portal.session',
          after_expiration: null,
          configuration: chosen.id,
          created: context.now(),
          customer: customer.id,
          customer_account: null,
          flow: flow_data === undefined ? null : makeFlow(flow_data),
          livemode: false,
          locale,
          on_behalf_of: null,
          return_url: return_url ?? chosen.default_return_url,
          url: `${context.url}/_stand-in/pages/portal/${id}/${randomLetters(40)}`,
        };
        return context.create('billing_portal.session.created', session);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/billing_portal/configurations/{id}',
      params: {},
      run: (context, _params, id) => context.find('billing_portal.configuration', id),
    }),
    route({
      method: 'GET',
      path: '/v1/billing_portal/configurations',
      params: { ...pageParams, active: boolean().optional(), is_default: boolean().optional() },
      run: (context, { active, is_default, ...page }) =>
        paginate(
          context,
          context.store.list('billing_portal.configuration'),
          page,
          (one) =>
            (active === undefined || one.active === active) &&
            (is_default === undefined || one.is_default === is_default),
        ),
    }),
  ],
  controls: portalPages,
};
