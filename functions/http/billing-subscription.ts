import {
  cancelSubscription,
  resumeSubscription,
} from '../../shared/domains/billing/account/cancel-subscription.ts';
import { changeSubscription } from '../../shared/domains/billing/account/change-subscription.ts';
import { previewChange } from '../../shared/domains/billing/account/preview-change.ts';
import { readSubscription } from '../../shared/domains/billing/account/read-subscription.ts';
import {
  cancellation,
  change,
  changePreview,
  changePreviewRequest,
  subscriptionView,
  upcomingInvoice,
} from '../../shared/domains/billing/account/schemas.ts';
import { readUpcomingInvoice } from '../../shared/domains/billing/account/upcoming-invoice.ts';
import { z } from 'zod';
import { endpoint } from '../../shared/platform/http/endpoint.ts';

const common = { tag: 'billing', openToSuspended: true } as const;
const changed = { 200: { description: 'The subscription as it is now.', schema: subscriptionView } } as const;

export const billingSubscriptionEndpoints = [
  endpoint({
    ...common,
    name: 'billing-subscription-read',
    method: 'GET',
    path: 'v1/billing/subscription',
    summary: 'Read the plan, its state, what happens next, and its limits with their use',
    permission: 'billing:read',
    responses: { 200: { description: 'The subscription, or the free plan.', schema: subscriptionView } },
    run: (call) => readSubscription(call),
  }),
  endpoint({
    ...common,
    name: 'billing-subscription-cancel',
    method: 'POST',
    path: 'v1/billing/subscription/cancel',
    summary: 'Cancel the subscription, at the end of the paid period or now',
    permission: 'billing:manage',
    body: cancellation,
    responses: changed,
    run: (call, { body }) => cancelSubscription(call, body),
  }),
  endpoint({
    ...common,
    name: 'billing-subscription-resume',
    method: 'POST',
    path: 'v1/billing/subscription/resume',
    summary: 'Take back a cancellation that is still to come',
    permission: 'billing:manage',
    responses: changed,
    run: (call) => resumeSubscription(call),
  }),
  endpoint({
    ...common,
    name: 'billing-subscription-change',
    method: 'POST',
    path: 'v1/billing/subscription/change',
    summary: 'Move to another plan or billing cycle, at once',
    description:
      'Unused time is credited, and the difference is charged at once; a cheaper plan leaves a credit for later invoices. If the ' +
      'payment fails, it is 402 and nothing changes. With the `proration_date` of a preview, what is billed is what it said.',
    permission: 'billing:manage',
    body: change,
    responses: changed,
    run: (call, { body }) => changeSubscription(call, body),
  }),
  endpoint({
    ...common,
    name: 'billing-subscription-change-preview',
    method: 'POST',
    path: 'v1/billing/subscription/change/preview',
    summary: 'See what a change would cost, before anyone agrees to it',
    permission: 'billing:read',
    body: changePreviewRequest,
    responses: { 200: { description: 'What would be billed, now and next.', schema: changePreview } },
    run: (call, { body }) => previewChange(call, body),
  }),
  endpoint({
    ...common,
    name: 'billing-upcoming-invoice-read',
    method: 'GET',
    path: 'v1/billing/upcoming-invoice',
    // Without parameters, but there may be no such invoice: the description says that the answer can be 404.
    params: z.object({}),
    summary: 'Read the next invoice, as far as it is known now',
    permission: 'billing:read',
    responses: { 200: { description: 'The invoice that is to come.', schema: upcomingInvoice } },
    run: (call) => readUpcomingInvoice(call),
  }),
];
