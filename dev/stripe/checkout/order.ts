import { z } from 'zod';
import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import type { StartRequest } from '../billing/start.ts';
import type { NoteKind } from '../store/store.ts';

const discountSchema = z.object({ coupon: z.string().optional(), promotion_code: z.string().optional() });

/** What a session leads to when it is completed, and what its page is found by. */
const orderSchema = z.object({
  secret: z.string(),
  items: z.array(
    z.object({
      price: z.string(),
      quantity: z.number().optional(),
      metadata: z.record(z.string(), z.string()),
    }),
  ),
  discounts: z.array(discountSchema),
  anchor: z.number().optional(),
  description: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  missing_payment_method: z.enum(['cancel', 'create_invoice', 'pause']).optional(),
  proration_behavior: z.enum(['create_prorations', 'none']).optional(),
  trial_days: z.number().optional(),
  trial_end: z.number().optional(),
});

export type Order = z.output<typeof orderSchema>;

const CHECKOUT_ORDER: NoteKind<Order> = { name: 'checkout_order', schema: orderSchema };

export function putOrder({ store }: Context, session: string, order: Order): void {
  store.putNote(CHECKOUT_ORDER, session, order);
}

export function getOrder({ store }: Pick<Context, 'store'>, session: string): Order | undefined {
  return store.getNote(CHECKOUT_ORDER, session);
}

/** The subscription that an order asks for. */
export function toStartRequest(
  context: Context,
  order: Order,
  customer: Stripe.Customer,
  method: string | null,
): StartRequest {
  return {
    customer,
    items: order.items.map(({ price, quantity, metadata }) => ({
      price: context.find('price', price),
      quantity,
      metadata,
    })),
    anchor: order.anchor,
    trialDays: order.trial_days,
    trialEnd: order.trial_end,
    missingPaymentMethod: order.missing_payment_method,
    prorationBehavior: order.proration_behavior,
    defaultPaymentMethod: method,
    description: order.description,
    discounts: order.discounts,
    metadata: order.metadata,
  };
}
