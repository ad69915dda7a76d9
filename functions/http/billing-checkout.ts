import { createCheckout } from '../../shared/domains/billing/checkout/create-checkout.ts';
import { createPortal } from '../../shared/domains/billing/checkout/create-portal.ts';
import { checkout, newCheckout, newPortal, portal } from '../../shared/domains/billing/checkout/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';

const common = { tag: 'billing', permission: 'billing:manage', openToSuspended: true } as const;

export const billingCheckoutEndpoints = [
  endpoint({
    ...common,
    name: 'billing-checkout-sessions-create',
    method: 'POST',
    path: 'v1/billing/checkout-sessions',
    summary: 'Open a page where a person can pay for a plan',
    description:
      'While the page is open, the same request gets the same page, and a request for something else closes it. With a live ' +
      'subscription it is 409: change that one instead.',
    body: newCheckout,
    responses: { 201: { description: 'The page, at Stripe.', schema: checkout } },
    run: (call, { body }) => createCheckout(call, body),
  }),
  endpoint({
    ...common,
    name: 'billing-portal-sessions-create',
    method: 'POST',
    path: 'v1/billing/portal-sessions',
    summary: 'Open a page for cards, invoices and the subscription',
    body: newPortal,
    responses: { 201: { description: 'The page, at Stripe.', schema: portal } },
    run: (call, { body }) => createPortal(call, body),
  }),
];
