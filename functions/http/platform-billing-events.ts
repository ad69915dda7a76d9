import {
  mismatchesQuery,
  mismatchItem,
  stripeEventItem,
  stripeEventParams,
  stripeEventReplayed,
  stripeEventsQuery,
  stripeEventWithPayload,
} from '../../shared/domains/billing/events/event-schemas.ts';
import {
  listMismatches,
  listStripeEvents,
  readStripeEvent,
} from '../../shared/domains/billing/events/read-events.ts';
import { replayStripeEvent } from '../../shared/domains/billing/events/replay-event.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const common = { tag: 'platform', permission: 'platform:operate' } as const;

/** What came from Stripe, what became of it, and where Stripe and this service differ. */
export const platformBillingEventsEndpoints = [
  endpoint({
    ...common,
    name: 'platform-billing-events-list',
    method: 'GET',
    path: 'v1/platform/billing/events',
    summary: 'List the events that came from Stripe, by when they came',
    query: stripeEventsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(stripeEventItem), headers: ['Link'] } },
    run: (call, { query, url }) => listStripeEvents(call, query, url),
  }),
  endpoint({
    ...common,
    name: 'platform-billing-events-read',
    method: 'GET',
    path: 'v1/platform/billing/events/{event_id}',
    summary: 'Read an event with what Stripe sent; the read is audited',
    params: stripeEventParams,
    responses: { 200: { description: 'The event.', schema: stripeEventWithPayload } },
    run: (call, { params }) => readStripeEvent(call, params.event_id),
  }),
  endpoint({
    ...common,
    name: 'platform-billing-events-replay',
    method: 'POST',
    path: 'v1/platform/billing/events/{event_id}/replay',
    summary: 'Process an event again, which is harmless at any time',
    params: stripeEventParams,
    responses: { 202: { description: 'It waits to be processed.', schema: stripeEventReplayed } },
    run: (call, { params }) => replayStripeEvent(call, params.event_id),
  }),
  endpoint({
    ...common,
    name: 'platform-billing-mismatches-list',
    method: 'GET',
    path: 'v1/platform/billing/mismatches',
    summary: 'List where Stripe and this service differ: what is open, unless asked otherwise',
    query: mismatchesQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(mismatchItem), headers: ['Link'] } },
    run: (call, { query, url }) => listMismatches(call, query, url),
  }),
];
