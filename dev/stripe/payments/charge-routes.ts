import { z } from 'zod';
import { applyMetadata, metadata } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { amount, oneOf, parseParams, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { withoutUndefined } from '../api/without-undefined.ts';
import { closeDispute, openDispute } from './disputes.ts';

const disputeSchema = z.strictObject({
  amount: amount().optional(),
  charge: text(),
  reason: oneOf(
    'credit_not_processed',
    'duplicate',
    'fraudulent',
    'general',
    'product_not_received',
    'product_unacceptable',
    'subscription_canceled',
    'unrecognized',
  ).default('general'),
});

const closeSchema = z.strictObject({ status: oneOf('lost', 'won') });

export const charges: Part = {
  routes: [
    route({
      method: 'GET',
      path: '/v1/charges/{id}',
      params: {},
      run: (context, _params, id) => context.find('charge', id),
    }),
    route({
      method: 'POST',
      path: '/v1/charges/{id}',
      params: {
        description: text().optional(),
        metadata: metadata().optional(),
        receipt_email: text().optional(),
      },
      unsupported: ['customer', 'fraud_details', 'shipping', 'transfer_group'],
      run: (context, { metadata: change, ...given }, id) => {
        const before = context.find('charge', id);
        return context.change('charge.updated', before, {
          ...before,
          ...withoutUndefined(given),
          metadata: applyMetadata(before.metadata, change),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/charges',
      params: { ...timedPageParams, customer: text().optional(), payment_intent: text().optional() },
      unsupported: ['transfer_group'],
      run: (context, { customer, payment_intent, ...page }) =>
        paginate(
          context,
          context.store.list('charge'),
          page,
          (charge) =>
            (customer === undefined || charge.customer === customer) &&
            (payment_intent === undefined || charge.payment_intent === payment_intent),
        ),
    }),
  ],
};

/** What a business sees of disputes. Only `controls` open one, as only the holder of a card can. */
export const disputes: Part = {
  routes: [
    route({
      method: 'GET',
      path: '/v1/disputes/{id}',
      params: {},
      run: (context, _params, id) => context.find('dispute', id),
    }),
    route({
      method: 'GET',
      path: '/v1/disputes',
      params: { ...timedPageParams, charge: text().optional(), payment_intent: text().optional() },
      run: (context, { charge, payment_intent, ...page }) =>
        paginate(
          context,
          context.store.list('dispute'),
          page,
          (dispute) =>
            (charge === undefined || dispute.charge === charge) &&
            (payment_intent === undefined || dispute.payment_intent === payment_intent),
        ),
    }),
    route({
      method: 'POST',
      path: '/v1/disputes/{id}',
      params: { metadata: metadata().optional() },
      unsupported: ['evidence', 'intended_submission_method', 'submit'],
      run: (context, { metadata: change }, id) => {
        const before = context.find('dispute', id);
        return context.change('charge.dispute.updated', before, {
          ...before,
          metadata: applyMetadata(before.metadata, change),
        });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/disputes/{id}/close',
      params: {},
      run: (context, _params, id) => closeDispute(context, context.find('dispute', id), 'lost'),
    }),
  ],
  controls: [
    {
      method: 'POST',
      path: '/_stand-in/disputes',
      access: 'secret',
      run: (standIn, { body }) => {
        const { charge, ...claim } = parseParams(disputeSchema, body);
        return {
          json: standIn.perform(null, (context) =>
            openDispute(context, context.find('charge', charge, 'charge'), claim),
          ),
        };
      },
    },
    {
      method: 'POST',
      path: '/_stand-in/disputes/{id}/close',
      access: 'secret',
      run: (standIn, { ids: [id = ''], body }) => {
        const { status } = parseParams(closeSchema, body);
        return {
          json: standIn.perform(null, (context) =>
            closeDispute(context, context.find('dispute', id), status),
          ),
        };
      },
    },
  ],
};
