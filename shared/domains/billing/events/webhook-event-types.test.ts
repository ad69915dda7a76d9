import { expect, test } from 'vitest';
import { objectOf } from './event-objects.ts';
import { missingEventTypes } from './webhook-event-types.ts';

test('an endpoint that selects nothing lacks every type that is processed, and only those', () => {
  const types = missingEventTypes([]);
  expect(types).toContain('customer.subscription.updated');
  expect(types).toContain('invoice.paid');
  for (const type of types) {
    const objects = [
      'customer',
      'subscription',
      'invoice',
      'invoice_payment',
      'payment_intent',
      'charge',
      'dispute',
    ];
    const isProcessed = [...objects, 'refund', 'payment_method', 'checkout.session'].some(
      (object) => objectOf({ type, object_type: object, object_id: 'id' }) !== undefined,
    );
    expect(isProcessed, type).toBe(true);
  }
  for (const ignored of ['invoice.upcoming', 'price.created', 'customer.discount.created'])
    expect(types).not.toContain(ignored);
});

test('one that selects all, or all of these, lacks none', () => {
  expect(missingEventTypes(['*'])).toEqual([]);
  expect(missingEventTypes(missingEventTypes([]))).toEqual([]);
  expect(missingEventTypes(missingEventTypes([]).slice(1))).toEqual(missingEventTypes([]).slice(0, 1));
});
