import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { applyMetadata, metadata } from '../api/metadata.ts';
import type { MetadataChange } from '../api/metadata.ts';
import { paginate, timedPageParams } from '../api/page.ts';
import { integer, oneOf, text } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { refId } from '../objects/refs.ts';

interface RefundRequest {
  readonly amount?: number | undefined;
  readonly charge?: string | undefined;
  readonly metadata?: MetadataChange | undefined;
  readonly payment_intent?: string | undefined;
  readonly reason?: 'duplicate' | 'fraudulent' | 'requested_by_customer' | undefined;
}

function findCharge(context: Context, { charge, payment_intent }: RefundRequest): Stripe.Charge {
  if (charge !== undefined) return context.find('charge', charge, 'charge');
  if (payment_intent === undefined)
    throw invalidRequest(
      'One of the following params should be provided for this request: payment_intent or charge.',
    );
  const intent = context.find('payment_intent', payment_intent, 'payment_intent');
  const latest = refId(intent.latest_charge);
  if (intent.status !== 'succeeded' || latest === null)
    throw invalidRequest(`This PaymentIntent (${intent.id}) does not have a successful charge to refund.`, {
      param: 'payment_intent',
    });
  return context.find('charge', latest);
}

function checkRefundable(charge: Stripe.Charge, amount: number): void {
  if (!charge.paid) throw invalidRequest(`Charge ${charge.id} has not been paid.`, { param: 'charge' });
  if (charge.disputed)
    throw invalidRequest(`Charge ${charge.id} has been charged back; cannot issue a refund.`, {
      code: 'charge_disputed',
    });
  if (charge.refunded)
    throw invalidRequest(`Charge ${charge.id} has already been refunded.`, {
      code: 'charge_already_refunded',
    });
  const left = charge.amount - charge.amount_refunded;
  if (amount > left)
    throw invalidRequest(`Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`, {
      param: 'amount',
    });
}

/** Gives back what a charge took, or a part of it. */
function refundCharge(context: Context, request: RefundRequest): Stripe.Refund {
  const charge = findCharge(context, request);
  const amount = request.amount ?? charge.amount - charge.amount_refunded;
  checkRefundable(charge, amount);
  const refund: Stripe.Refund = {
    id: context.newId('refund'),
    object: 'refund',
    amount,
    balance_transaction: null,
    charge: charge.id,
    created: context.now(),
    currency: charge.currency,
    customer: refId(charge.customer),
    customer_account: null,
    destination_details: { card: { type: 'refund' }, type: 'card' },
    metadata: applyMetadata({}, request.metadata),
    payment_intent: refId(charge.payment_intent),
    payment_method: charge.payment_method,
    reason: request.reason ?? null,
    receipt_number: null,
    source_transfer_reversal: null,
    status: 'succeeded',
    transfer_reversal: null,
  };
  context.create('refund.created', refund);
  const refunded = charge.amount_refunded + amount;
  context.change('charge.refunded', charge, {
    ...charge,
    amount_refunded: refunded,
    refunded: refunded === charge.amount,
  });
  return refund;
}

export const refunds: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/refunds',
      params: {
        amount: integer({ min: 1 }).optional(),
        charge: text().optional(),
        metadata: metadata().optional(),
        payment_intent: text().optional(),
        reason: oneOf('duplicate', 'fraudulent', 'requested_by_customer').optional(),
      },
      unsupported: [
        'currency',
        'customer',
        'instructions_email',
        'origin',
        'refund_application_fee',
        'reverse_transfer',
      ],
      run: (context, request) => refundCharge(context, request),
    }),
    route({
      method: 'GET',
      path: '/v1/refunds/{id}',
      params: {},
      run: (context, _params, id) => context.find('refund', id),
    }),
    route({
      method: 'POST',
      path: '/v1/refunds/{id}',
      params: { metadata: metadata().optional() },
      run: (context, { metadata: change }, id) => {
        const before = context.find('refund', id);
        return context.change('refund.updated', before, {
          ...before,
          metadata: applyMetadata(before.metadata ?? {}, change),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/refunds',
      params: { ...timedPageParams, charge: text().optional(), payment_intent: text().optional() },
      run: (context, { charge, payment_intent, ...page }) =>
        paginate(
          context,
          context.store.list('refund'),
          page,
          (refund) =>
            (charge === undefined || refund.charge === charge) &&
            (payment_intent === undefined || refund.payment_intent === payment_intent),
        ),
    }),
  ],
};
