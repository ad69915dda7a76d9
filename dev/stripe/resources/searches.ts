import type { Part } from '../api/part.ts';
import { notInStandIn } from '../api/stripe-error.ts';

const SEARCHED = [
  'charges',
  'customers',
  'invoices',
  'payment_intents',
  'prices',
  'products',
  'subscriptions',
] as const;

/** `/v1/customers/search` would else be taken for a customer of that id. */
export const searches: Part = {
  routes: SEARCHED.map((name) => ({
    method: 'GET',
    path: `/v1/${name}/search`,
    prepare: () => {
      throw notInStandIn('searches');
    },
  })),
};
