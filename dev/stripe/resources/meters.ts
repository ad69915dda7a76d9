import type Stripe from 'stripe';
import type { Context } from '../api/context.ts';
import { paginate, pageParams } from '../api/page.ts';
import { hash, oneOf, text, timestamp } from '../api/params.ts';
import type { Part } from '../api/part.ts';
import { route } from '../api/route.ts';
import { invalidRequest, noSuchObject } from '../api/stripe-error.ts';
import { usageBySpan } from '../meters/usage.ts';

// Names that Stripe gives to a meter that names none.
const CUSTOMER_KEY = 'stripe_customer_id';
const VALUE_KEY = 'value';

const SECONDS = { minute: 60, hour: 60 * 60, day: 24 * 60 * 60 };

const MAX_SPANS = 10_000; // more than a year of hours
const DEFAULT_LIMIT = 10;

type Meter = Stripe.Billing.Meter;

function checkEventName(context: Context, eventName: string): void {
  const same = context.store.list(
    'billing.meter',
    (meter) => meter.event_name === eventName && meter.status === 'active',
  );
  if (same.length > 0)
    throw invalidRequest(`There is already an active meter with the event name ${eventName}.`, {
      code: 'resource_already_exists',
      param: 'event_name',
    });
}

function switchMeter(context: Context, id: string, status: 'active' | 'inactive'): Meter {
  const before = context.find('billing.meter', id);
  if (before.status === status) throw invalidRequest(`The meter ${id} is already ${status}.`);
  const isOff = status === 'inactive';
  if (!isOff) checkEventName(context, before.event_name);
  const type = isOff ? 'billing.meter.deactivated' : 'billing.meter.reactivated';
  return context.change(type, before, {
    ...before,
    status,
    status_transitions: { deactivated_at: isOff ? context.now() : null },
    updated: context.now(),
  });
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** The newest first. */
function splitTime(from: number, to: number, window: 'day' | 'hour' | undefined): Span[] {
  const length = SECONDS[window ?? 'minute'];
  for (const [param, time] of Object.entries({ start_time: from, end_time: to }))
    if (time % length !== 0)
      throw invalidRequest(`${param} must be aligned with ${window ?? 'minute'} boundaries.`, { param });
  if (to <= from) throw invalidRequest('end_time must be after start_time.', { param: 'end_time' });
  if (window === undefined) return [{ from, to }];
  const count = (to - from) / length;
  if (count > MAX_SPANS) throw invalidRequest('Too many windows.', { param: 'value_grouping_window' });
  return Array.from({ length: count }, (_, index) => ({
    from: to - (index + 1) * length,
    to: to - index * length,
  }));
}

/** The same for the same usage, so that it can be a cursor. */
function summaryId(meter: string, customer: string, { from, to }: Span): string {
  return `mtrusg_test_${Buffer.from(`${meter}/${customer}/${from}/${to}`).toString('hex')}`;
}

interface Page {
  readonly limit?: number | undefined;
  readonly starting_after?: string | undefined;
  readonly ending_before?: string | undefined;
}

function pageSummaries(
  all: readonly Stripe.Billing.MeterEventSummary[],
  { limit = DEFAULT_LIMIT, starting_after, ending_before }: Page,
  url: string,
): Stripe.ApiList<Stripe.Billing.MeterEventSummary> {
  const indexOf = (id: string, param: string): number => {
    const index = all.findIndex((summary) => summary.id === id);
    if (index < 0) throw noSuchObject('billing.meter_event_summary', id, param);
    return index;
  };
  const from = starting_after === undefined ? 0 : indexOf(starting_after, 'starting_after') + 1;
  const to = ending_before === undefined ? all.length : indexOf(ending_before, 'ending_before');
  const found = all.slice(from, to);
  const data = ending_before === undefined ? found.slice(0, limit) : found.slice(-limit);
  return { object: 'list', data, has_more: found.length > data.length, url };
}

export const meters: Part = {
  routes: [
    route({
      method: 'POST',
      path: '/v1/billing/meters',
      params: {
        customer_mapping: hash({ type: oneOf('by_id'), event_payload_key: text({ max: 100 }) }).optional(),
        default_aggregation: hash({ formula: oneOf('count', 'last', 'sum') }),
        display_name: text({ max: 250 }),
        event_name: text({ max: 100 }),
        value_settings: hash({ event_payload_key: text({ max: 100 }) }).optional(),
      },
      unsupported: ['event_time_window'],
      run: (context, given) => {
        checkEventName(context, given.event_name);
        const created = context.now();
        const meter: Meter = {
          id: context.newId('billing.meter'),
          object: 'billing.meter',
          created,
          customer_mapping: given.customer_mapping ?? { type: 'by_id', event_payload_key: CUSTOMER_KEY },
          default_aggregation: given.default_aggregation,
          display_name: given.display_name,
          event_name: given.event_name,
          event_time_window: null,
          livemode: false,
          status: 'active',
          status_transitions: { deactivated_at: null },
          updated: created,
          value_settings: given.value_settings ?? { event_payload_key: VALUE_KEY },
        };
        return context.create('billing.meter.created', meter);
      },
    }),
    route({
      method: 'GET',
      path: '/v1/billing/meters/{id}',
      params: {},
      run: (context, _params, id) => context.find('billing.meter', id),
    }),
    route({
      method: 'POST',
      path: '/v1/billing/meters/{id}',
      params: { display_name: text({ max: 250 }).optional() },
      run: (context, { display_name }, id) => {
        const before = context.find('billing.meter', id);
        if (display_name === undefined) return before;
        return context.change('billing.meter.updated', before, {
          ...before,
          display_name,
          updated: context.now(),
        });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/billing/meters',
      params: { ...pageParams, status: oneOf('active', 'inactive').optional() },
      run: (context, { status, ...page }) =>
        paginate(context, context.store.list('billing.meter'), page, (meter) => {
          return status === undefined || meter.status === status;
        }),
    }),
    route({
      method: 'POST',
      path: '/v1/billing/meters/{id}/deactivate',
      params: {},
      run: (context, _params, id) => switchMeter(context, id, 'inactive'),
    }),
    route({
      method: 'POST',
      path: '/v1/billing/meters/{id}/reactivate',
      params: {},
      run: (context, _params, id) => switchMeter(context, id, 'active'),
    }),
    route({
      method: 'GET',
      path: '/v1/billing/meters/{id}/event_summaries',
      params: {
        ...pageParams,
        customer: text(),
        end_time: timestamp(),
        start_time: timestamp(),
        value_grouping_window: oneOf('day', 'hour').optional(),
      },
      run: (context, { customer, end_time, start_time, value_grouping_window, ...page }, meter) => {
        context.find('customer', customer, 'customer');
        const spans = splitTime(start_time, end_time, value_grouping_window);
        const all = usageBySpan(context, meter, customer, spans).map(
          ({ from, to, value }): Stripe.Billing.MeterEventSummary => ({
            id: summaryId(meter, customer, { from, to }),
            object: 'billing.meter_event_summary',
            aggregated_value: value.toNumber(),
            end_time: to,
            livemode: false,
            meter,
            start_time: from,
          }),
        );
        return pageSummaries(all, page, context.cause?.path ?? '');
      },
    }),
  ],
};
