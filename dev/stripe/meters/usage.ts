import Stripe from 'stripe';
import { z } from 'zod';
import type { Context } from '../api/context.ts';
import { invalidRequest, noSuchObject } from '../api/stripe-error.ts';
import { randomLetters } from '../objects/kinds.ts';
import type { NoteKind } from '../store/store.ts';

// As Stripe: an identifier is unique, and an event can be cancelled, for a day.
const UNIQUE_SECONDS = 24 * 60 * 60;

const KEY_LETTERS = 24;

const usageSchema = z.object({
  identifier: z.string(),
  /** A decimal number. */
  value: z.string(),
  /** Seconds since 1970. */
  timestamp: z.number(),
});

type Usage = z.infer<typeof usageSchema>;

/** The events of one customer at one meter, apart from all others, so that summing up reads no others. */
function usageKind(meter: string, customer: string): NoteKind<Usage> {
  return { name: `usage/${meter}/${customer}`, schema: usageSchema };
}

const receivedSchema = z.object({
  event_name: z.string(),
  /** Seconds since 1970, of this machine. */
  received_at: z.number(),
  /** Where its usage is; null if it has none, because it was in error or is cancelled. */
  usage: z.object({ meter: z.string(), customer: z.string(), key: z.string() }).nullable(),
});

/** Meter events by their identifier. */
const RECEIVED: NoteKind<z.infer<typeof receivedSchema>> = { name: 'meter_event', schema: receivedSchema };

const meterErrorSchema = z.object({
  /** As in `v1.billing.meter.error_report_triggered`: `meter_event_customer_not_found`, … */
  code: z.string(),
  message: z.string(),
  identifier: z.string(),
  event_name: z.string(),
  meter: z.string().nullable(),
  at: z.number(),
});

/** What Stripe tells of later, because it has accepted the event first. */
export type MeterError = z.infer<typeof meterErrorSchema>;

const METER_ERROR: NoteKind<MeterError> = { name: 'meter_error', schema: meterErrorSchema };

/** What becomes of an accepted event. */
export type Reading =
  | { readonly meter: string; readonly customer: string; readonly value: Stripe.Decimal }
  | { readonly meter: string | null; readonly code: string; readonly message: string };

/** Takes an event in: its usage counts, or its error is kept. Throws for an identifier that was used within a day. */
export function takeEvent(
  context: Context,
  { event_name, identifier, timestamp }: Stripe.Billing.MeterEvent,
  reading: Reading,
): void {
  const { store } = context;
  const known = store.getNote(RECEIVED, identifier);
  const received_at = context.now();
  // Stripe gives this error no code; clients know it by its text.
  if (known !== undefined && known.received_at + UNIQUE_SECONDS > received_at)
    throw invalidRequest(`An event already exists with identifier ${identifier}.`);
  const key = randomLetters(KEY_LETTERS);
  if ('code' in reading) {
    store.putNote(METER_ERROR, key, { ...reading, identifier, event_name, at: received_at });
    store.putNote(RECEIVED, identifier, { event_name, received_at, usage: null });
    return;
  }
  const { meter, customer, value } = reading;
  store.putNote(usageKind(meter, customer), key, { identifier, value: value.toString(), timestamp });
  store.putNote(RECEIVED, identifier, { event_name, received_at, usage: { meter, customer, key } });
}

/** Takes an event back, within a day of its receipt. */
export function cancelEvent(context: Context, eventName: string, identifier: string): void {
  const { store } = context;
  const param = 'cancel[identifier]';
  const known = store.getNote(RECEIVED, identifier);
  if (known?.event_name !== eventName) throw noSuchObject('meter event', identifier, param);
  if (known.received_at + UNIQUE_SECONDS <= context.now())
    throw invalidRequest('A meter event can only be cancelled within 24 hours of its receipt.', { param });
  if (known.usage === null)
    throw invalidRequest(`The meter event ${identifier} counts for nothing that could be cancelled.`, {
      param,
    });
  const { meter, customer, key } = known.usage;
  store.putNote(usageKind(meter, customer), key, null);
  store.putNote(RECEIVED, identifier, { ...known, usage: null });
}

/** The oldest first. */
export function listMeterErrors({ store }: Pick<Context, 'store'>): MeterError[] {
  return store.listNotes(METER_ERROR).map(([, error]) => error);
}

function aggregate(formula: string, events: readonly Usage[]): Stripe.Decimal {
  const values = events.map(({ value }) => Stripe.Decimal.from(value));
  switch (formula) {
    case 'count':
      return Stripe.Decimal.from(events.length);
    case 'last': {
      const latest = Math.max(...events.map(({ timestamp }) => timestamp));
      return values[events.findLastIndex(({ timestamp }) => timestamp === latest)] ?? Stripe.Decimal.zero;
    }
    default:
      return values.reduce((sum, value) => sum.add(value), Stripe.Decimal.zero);
  }
}

/** What a customer has used at a meter, of the spans that have any use. */
export function usageBySpan(
  context: Context,
  meterId: string,
  customer: string,
  spans: readonly { readonly from: number; readonly to: number }[],
): { from: number; to: number; value: Stripe.Decimal }[] {
  const { default_aggregation } = context.find('billing.meter', meterId);
  const events = context.store.listNotes(usageKind(meterId, customer)).map(([, usage]) => usage);
  return spans.flatMap(({ from, to }) => {
    const inside = events.filter(({ timestamp }) => timestamp >= from && timestamp < to);
    return inside.length === 0 ? [] : [{ from, to, value: aggregate(default_aggregation.formula, inside) }];
  });
}

/**
 * What a customer has used at a meter from a time (inclusive) to a time (exclusive), in seconds since 1970, by the meter's
 * formula. It can be negative, if events are; Stripe invoices that as 0.
 */
export function usageOf(
  context: Context,
  meterId: string,
  customer: string,
  from: number,
  to: number,
): Stripe.Decimal {
  return usageBySpan(context, meterId, customer, [{ from, to }])[0]?.value ?? Stripe.Decimal.zero;
}
