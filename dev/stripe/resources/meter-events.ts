import Stripe from 'stripe';
import { z } from 'zod';
import type { Context } from '../api/context.ts';
import { hash, oneOf, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest } from '../api/stripe-error.ts';
import { cancelEvent, listMeterErrors, takeEvent } from '../meters/usage.ts';
import type { Reading } from '../meters/usage.ts';
import { randomLetters } from '../objects/kinds.ts';

// As Stripe.
const PAST_SECONDS = 35 * 24 * 60 * 60;
const FUTURE_SECONDS = 5 * 60;
const MAX_VALUE_DIGITS = 15;
const IDENTIFIER_LETTERS = 32;

type Payload = Readonly<Record<string, string>>;

/** The meter of this event name: the active one, else the one that was switched off last. */
function findMeter(context: Context, eventName: string): Stripe.Billing.Meter | undefined {
  const all = context.store.list('billing.meter', (meter) => meter.event_name === eventName);
  return all.find(({ status }) => status === 'active') ?? all[0];
}

function readValue(meter: Stripe.Billing.Meter, payload: Payload): Stripe.Decimal | string {
  if (meter.default_aggregation.formula === 'count') return Stripe.Decimal.from(1);
  const value = payload[meter.value_settings.event_payload_key];
  if (value === undefined || !/^-?\d+(\.\d+)?$/.test(value)) return 'meter_event_invalid_value';
  if (value.replaceAll(/\D/g, '').length > MAX_VALUE_DIGITS) return 'meter_event_value_too_many_digits';
  return Stripe.Decimal.from(value);
}

/** What Stripe finds out only after it has accepted an event: its codes, our words. */
function readEvent(context: Context, eventName: string, payload: Payload): Reading {
  const meter = findMeter(context, eventName);
  if (meter === undefined)
    return { meter: null, code: 'no_meter', message: `No meter has the event name ${eventName}.` };
  const fail = (code: string, message: string): Reading => ({ meter: meter.id, code, message });
  if (meter.status !== 'active') return fail('archived_meter', `The meter ${meter.id} is inactive.`);
  const { event_payload_key: key } = meter.customer_mapping;
  const customer = payload[key];
  if (customer === undefined)
    return fail('meter_event_no_customer_defined', `The payload has no customer: ${key}.`);
  if (context.store.get('customer', customer) === undefined)
    return fail('meter_event_customer_not_found', `No such customer: '${customer}'`);
  const value = readValue(meter, payload);
  if (typeof value === 'string') return fail(value, 'The payload has no value that counts.');
  return { meter: meter.id, customer, value };
}

function checkTime(now: number, time: number): void {
  if (time < now - PAST_SECONDS)
    throw invalidRequest('The timestamp must be within the past 35 calendar days.', {
      code: 'timestamp_too_far_in_past',
      param: 'timestamp',
    });
  if (time > now + FUTURE_SECONDS)
    throw invalidRequest('The timestamp must not be more than 5 minutes in the future.', {
      code: 'timestamp_in_future',
      param: 'timestamp',
    });
}

export const meterEvents: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/billing/meter_events',
      params: {
        event_name: text({ max: 100 }),
        identifier: text({ max: 100 }).optional(),
        payload: z.record(z.string(), text()),
        timestamp: timestamp().optional(),
      },
      run: (context, { event_name, payload, identifier = randomLetters(IDENTIFIER_LETTERS), ...given }) => {
        const reading = readEvent(context, event_name, payload);
        // A customer of a test clock uses things in its time.
        const customer = 'customer' in reading ? context.store.get('customer', reading.customer) : undefined;
        const now = context.now(customer?.test_clock);
        const { timestamp: time = now } = given;
        checkTime(now, time);
        const event: Stripe.Billing.MeterEvent = {
          object: 'billing.meter_event',
          created: now,
          event_name,
          identifier,
          livemode: false,
          payload: { ...payload },
          timestamp: time,
        };
        takeEvent(context, event, reading);
        return event;
      },
    }),
    route({
      method: 'POST',
      path: '/v1/billing/meter_event_adjustments',
      params: {
        cancel: hash({ identifier: text({ max: 100 }) }),
        event_name: text({ max: 100 }),
        type: oneOf('cancel'),
      },
      run: (context, { cancel, event_name, type }): Stripe.Billing.MeterEventAdjustment => {
        cancelEvent(context, event_name, cancel.identifier);
        return {
          object: 'billing.meter_event_adjustment',
          cancel,
          event_name,
          livemode: false,
          status: 'pending',
          type,
        };
      },
    }),
  ],
  controls: [
    {
      // What Stripe would tell of in `v1.billing.meter.error_report_triggered` and `v1.billing.meter.no_meter_found`.
      method: 'GET',
      path: '/_stand-in/meter-errors',
      access: 'secret',
      run: (standIn) => ({ json: { errors: listMeterErrors(standIn) } }),
    },
  ],
};
