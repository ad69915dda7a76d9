import type { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { readPlatformKeyset, when, type KeysetList } from '../../../platform/db/keyset.ts';
import { positionIn } from '../../../platform/http/list-reply.ts';
import {
  cursorScope,
  pageReply,
  readPage,
  type Page,
  type PagedQuery,
} from '../../../platform/http/pagination.ts';
import { auditEvent, emitEvents } from '../../../platform/writes/caused-events.ts';
import type {
  MismatchItem,
  mismatchesQuery,
  StripeEventItem,
  stripeEventsQuery,
  StripeEventWithPayload,
} from './event-schemas.ts';

const EVENT_COLUMNS = `event_id, type, api_version, livemode, object_type, object_id, tenant_id, created, received_at, found_by,
  status, attempts, next_attempt_at, processed_at, error`;

/** A page of Stripe's events, by when they came. */
export function listStripeEvents(
  call: Call,
  query: z.output<typeof stripeEventsQuery>,
  url: string,
): Promise<Reply<200, Page<StripeEventItem>>> {
  return platformPage<StripeEventItem>(call, query, url, {
    table: 'stripe_events',
    columns: EVENT_COLUMNS,
    timeColumn: 'received_at',
    idColumn: 'event_id',
    idType: 'text',
    conditions: [
      ...when('status = ?', query.status),
      ...when('type = ?', query.type),
      ...when('tenant_id = ?', query.tenant),
    ],
  });
}

/** A page of the differences between Stripe and this service. */
export function listMismatches(
  call: Call,
  query: z.output<typeof mismatchesQuery>,
  url: string,
): Promise<Reply<200, Page<MismatchItem>>> {
  const state = { open: 'resolved_at is null', resolved: 'resolved_at is not null', all: 'true' };
  return platformPage<MismatchItem>(call, query, url, {
    table: 'ops.stripe_mismatches',
    columns: `mismatch_id, kind, object_type, object_id, tenant_id, details, found_at, last_seen_at, resolved_at`,
    timeColumn: 'found_at',
    idColumn: 'mismatch_id',
    idType: 'uuid',
    conditions: [
      ...when('kind = ?', query.kind),
      ...when('object_id = ?', query.object_id),
      ...when('tenant_id = ?', query.tenant),
    ],
    where: state[query.state],
  });
}

function platformPage<Item extends Record<string, unknown>>(
  call: Call,
  query: PagedQuery,
  url: string,
  list: Omit<KeysetList, 'tenantColumn'>,
): Promise<Reply<200, Page<Item>>> {
  const scope = cursorScope(call, query);
  return pageReply(scope, url, readPage(scope, query), {
    // Across tenants: these rows are the platform's.
    read: (step) => readPlatformKeyset<Item>(call.services.crossTenant.billing, list, step),
    positionOf: positionIn(list),
  });
}

/**
 * An event with what Stripe sent. The read is audited, since that has a customer's name and address.
 * @throws Problem 404.
 */
export async function readStripeEvent(
  call: Call,
  eventId: string,
): Promise<Reply<200, StripeEventWithPayload>> {
  const [row] = await call.services.crossTenant.billing.query<StripeEventWithPayload>(
    `select ${EVENT_COLUMNS}, payload from stripe_events where event_id = $1`,
    [eventId],
  );
  if (row === undefined) throw noSuchEvent();
  await emitEvents(call, [
    auditEvent(call, {
      action: 'stripe_event.read',
      resource_type: 'stripe_event',
      resource_id: eventId,
      details: { type: row.type },
    }),
  ]);
  return ok(row);
}

/** The answer for an unknown id. */
export function noSuchEvent(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such event of Stripe.' });
}
