import type Stripe from 'stripe';
import { z } from 'zod';
import type { Context } from '../api/context.ts';
import { pageParams, paginate } from '../api/page.ts';
import { parseParams, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { StripeError, invalidRequest } from '../api/stripe-error.ts';
import { endAllOf } from '../billing/cancellation.ts';
import type { DeletedObject } from '../objects/kinds.ts';
import { recurrenceOf } from '../subscriptions/items.ts';
import { addRecurrences } from '../subscriptions/periods.ts';
import { hasEnded } from '../subscriptions/status.ts';
import { runMachineTime, startClockRunner } from './runner.ts';

const DAY_SECONDS = 24 * 60 * 60;
const KEPT_DAYS = 30;

/** Stripe's limit: two intervals of the shortest subscription, or two years where there is none. */
const LONGEST_ADVANCE = 2;
const TWO_YEARS = { interval: 'year', interval_count: 2 };

function findLimit(context: Context, { id, frozen_time }: Stripe.TestHelpers.TestClock): number {
  const live = context.store.list(
    'subscription',
    (subscription) => subscription.test_clock === id && !hasEnded(subscription),
  );
  const limits = live
    .flatMap(({ items }) => items.data)
    .map(({ price }) => addRecurrences(frozen_time, recurrenceOf(price), LONGEST_ADVANCE));
  return limits.length === 0 ? addRecurrences(frozen_time, TWO_YEARS, 1) : Math.min(...limits);
}

function checkAdvance(context: Context, clock: Stripe.TestHelpers.TestClock, to: number): void {
  const param = 'frozen_time';
  if (clock.status !== 'ready')
    throw new StripeError(429, {
      type: 'invalid_request_error',
      code: 'rate_limit',
      message: `Test clock advancement underway - cannot perform modifications: ${clock.id}`,
    });
  if (to <= clock.frozen_time)
    throw invalidRequest('Cannot advance a test clock to a time that is not after its current frozen time.', {
      param,
    });
  if (to > findLimit(context, clock))
    throw invalidRequest(
      'Cannot advance a test clock by more than two intervals of its shortest subscription, or by more than two years where it has none.',
      { param },
    );
}

function deleteClock(context: Context, id: string): DeletedObject<'test_helpers.test_clock'> {
  const clock = context.find('test_helpers.test_clock', id);
  for (const customer of context.store.list('customer', ({ test_clock }) => test_clock === id)) {
    endAllOf(context, customer);
    const last = context.find('customer', customer.id);
    context.store.remove('customer', customer.id);
    context.emit('customer.deleted', last);
  }
  context.store.remove('test_helpers.test_clock', id);
  context.emit('test_helpers.test_clock.deleted', clock);
  return { id, object: 'test_helpers.test_clock', deleted: true };
}

const joinSchema = z.strictObject({ test_clock: z.string() });

/** Puts a customer without subscriptions on a clock. What is bought from then on lives in the clock's time. */
function joinClock(context: Context, id: string, clock: string): Stripe.Customer {
  const customer = context.find('customer', id);
  const { status } = context.find('test_helpers.test_clock', clock);
  if (status !== 'ready') throw invalidRequest('The test clock is not ready.', { param: 'test_clock' });
  if (customer.test_clock !== null)
    throw invalidRequest('The customer is on a test clock already.', { param: 'test_clock' });
  if (context.store.list('subscription', (one) => one.customer === id && !hasEnded(one)).length > 0)
    throw invalidRequest('The customer has a subscription: its time cannot change any more.');
  return context.change('customer.updated', customer, { ...customer, test_clock: clock });
}

export const testClocks: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/test_helpers/test_clocks',
      params: { frozen_time: timestamp(), name: text({ max: 300 }).optional() },
      run: (context, { frozen_time, name = null }) => {
        const clock: Stripe.TestHelpers.TestClock = {
          id: context.newId('test_helpers.test_clock'),
          object: 'test_helpers.test_clock',
          created: context.now(),
          deletes_after: context.now() + KEPT_DAYS * DAY_SECONDS,
          frozen_time,
          livemode: false,
          name,
          status: 'ready',
          status_details: {},
        };
        return context.create('test_helpers.test_clock.created', clock);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/test_helpers/test_clocks/{id}',
      params: {},
      run: (context, _params, id) => context.find('test_helpers.test_clock', id),
    }),
    route({
      method: 'GET',
      path: '/v1/test_helpers/test_clocks',
      params: pageParams,
      run: (context, page) => paginate(context, context.store.list('test_helpers.test_clock'), page),
    }),
    route({
      method: 'DELETE',
      path: '/v1/test_helpers/test_clocks/{id}',
      params: {},
      run: (context, _params, id) => deleteClock(context, id),
    }),
    route({
      // The answer says `advancing`; what is due until then happens afterwards (`runner.ts`).
      method: 'POST',
      path: '/v1/test_helpers/test_clocks/{id}/advance',
      params: { frozen_time: timestamp() },
      run: (context, { frozen_time }, id) => {
        const clock = context.find('test_helpers.test_clock', id);
        checkAdvance(context, clock, frozen_time);
        return context.change('test_helpers.test_clock.advancing', clock, {
          ...clock,
          status: 'advancing',
          status_details: { advancing: { target_frozen_time: frozen_time } },
        });
      },
    }),
  ],
  controls: [
    {
      // At Stripe only a new customer can be put on a clock. An app makes its customers itself, and knows of no clocks.
      method: 'POST',
      path: '/_stand-in/customers/{id}/test-clock',
      access: 'secret',
      run: (standIn, { ids: [id = ''], body }) => {
        const { test_clock: clock } = parseParams(joinSchema, body);
        return { json: standIn.perform(null, (context) => joinClock(context, id, clock)) };
      },
    },
    {
      // For tests that set the machine's clock and do not want to wait for the timer.
      method: 'POST',
      path: '/_stand-in/run-due',
      access: 'secret',
      run: (standIn) => ({ json: { done: runMachineTime(standIn) } }),
    },
  ],
  start: startClockRunner,
};
