import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { refId } from '../objects/refs.ts';

const EVIDENCE_SECONDS = 7 * 24 * 60 * 60;

const NO_EVIDENCE: Stripe.Dispute.Evidence = {
  access_activity_log: null,
  billing_address: null,
  cancellation_policy: null,
  cancellation_policy_disclosure: null,
  cancellation_rebuttal: null,
  customer_communication: null,
  customer_email_address: null,
  customer_name: null,
  customer_purchase_ip: null,
  customer_signature: null,
  duplicate_charge_documentation: null,
  duplicate_charge_explanation: null,
  duplicate_charge_id: null,
  enhanced_evidence: {},
  product_description: null,
  receipt: null,
  refund_policy: null,
  refund_policy_disclosure: null,
  refund_refusal_explanation: null,
  service_date: null,
  service_documentation: null,
  shipping_address: null,
  shipping_carrier: null,
  shipping_date: null,
  shipping_documentation: null,
  shipping_tracking_number: null,
  uncategorized_file: null,
  uncategorized_text: null,
};

interface Claim {
  readonly reason: string;
  readonly amount?: number | undefined;
}

/** The card's holder disputes a charge: the money is withdrawn until the dispute is decided. */
export function openDispute(
  context: Context,
  charge: Stripe.Charge,
  { reason, amount }: Claim,
): Stripe.Dispute {
  if (!charge.paid || charge.disputed)
    throw invalidRequest('Only a charge that is paid and not disputed yet can be disputed.');
  const dispute: Stripe.Dispute = {
    id: context.newId('dispute'),
    object: 'dispute',
    amount: amount ?? charge.amount,
    balance_transactions: [],
    charge: charge.id,
    created: context.now(),
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence: NO_EVIDENCE,
    evidence_details: {
      due_by: context.now() + EVIDENCE_SECONDS,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: 'manual',
    },
    intended_submission_method: null,
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    payment_intent: refId(charge.payment_intent),
    reason,
    status: 'needs_response',
  };
  context.store.put({ ...charge, disputed: true });
  context.create('charge.dispute.created', dispute);
  context.emit('charge.dispute.funds_withdrawn', dispute);
  return dispute;
}

/** The bank decides. A dispute that is won brings the money back. */
export function closeDispute(
  context: Context,
  dispute: Stripe.Dispute,
  status: 'lost' | 'won',
): Stripe.Dispute {
  if (dispute.status === 'lost' || dispute.status === 'won')
    throw invalidRequest('This dispute is already closed');
  const closed = context.change('charge.dispute.closed', dispute, { ...dispute, status });
  if (status === 'won') context.emit('charge.dispute.funds_reinstated', closed);
  return closed;
}
