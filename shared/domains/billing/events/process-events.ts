import { inParallel } from '../../../platform/blob/in-parallel.ts';
import { dataFaultOf } from '../../../platform/db/errors.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { HOUR_MS } from '../../../platform/time/clock.ts';
import { isStripeUnavailable, stripeErrorOf } from '../stripe/client.ts';
import { syncObject, type SyncResult } from '../sync/sync-object.ts';
import type { StripeRef, SyncServices } from '../sync/work.ts';
import { isOfErasedSql } from './erased-payload.ts';
import { objectOf, type EventSubject } from './event-objects.ts';

/**
 * After so many objects that Stripe did not answer for, the rest of the batch waits too: each would take as long to fail. Not
 * after the first, so that one object that Stripe cannot give delays no others.
 */
const UNAVAILABLE_MAX = 3;

/** As many as a process syncs at once: with more, they would only wait for each other. */
export const OBJECTS_AT_ONCE = 3;

/** The wait before the first repetition. It doubles each time. */
const BACKOFF_FIRST_MS = 10_000;
const BACKOFF_MAX_MS = HOUR_MS;

/**
 * How long an event waits after so many attempts: twice as long each time, at most an hour. The half of it is random, so that
 * what failed together does not come again together.
 */
export function backoffMs(attempts: number, random: () => number = Math.random): number {
  const longest = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempts - 1, 30));
  return Math.round(longest * (0.5 + random() / 2));
}

/** An event without an outcome. */
interface WaitingEvent extends EventSubject {
  readonly [column: string]: unknown;
  readonly event_id: string;
  readonly attempts: number;
  readonly status: string;
}

/** How many events had which outcome. */
export interface Processed {
  processed: number;
  ignored: number;
  mismatch: number;
  failed: number;
  /** Stripe could not be asked: they are due again later. */
  put_back: number;
  /** What was thrown for the others: a database's error, or a bug. Their events are as before. */
  readonly unexpected: unknown[];
}

/** What becomes of the events of one object. */
type Outcome =
  | {
      readonly status: 'processed' | 'ignored' | 'mismatch';
      readonly tenantId?: string | undefined;
      readonly isErased?: true;
    }
  | { readonly status: 'failed' | 'put_back'; readonly error: string }
  /** Nothing was tried. */
  | { readonly status: 'later' };

/**
 * Processes events by their ids: makes the rows of each object that they are about what Stripe says now, once for all of its events.
 * Events that have an outcome, or that are unknown, are left out. `goOn` says whether there is time for another object.
 * @throws what the database throws before an object is begun.
 */
export async function processEvents(
  services: SyncServices,
  eventIds: readonly string[],
  now: Date,
  goOn: () => boolean,
): Promise<Processed> {
  const { billing } = services.crossTenant;
  const found = await billing.query<WaitingEvent>(
    `select event_id, type, object_type, object_id, attempts, status from stripe_events
      where event_id = any($1::text[])`,
    [[...eventIds]],
  );
  const waiting = found.filter(({ status }) => status === 'received');
  const sum: Processed = { processed: 0, ignored: 0, mismatch: 0, failed: 0, put_back: 0, unexpected: [] };
  let unavailable = 0;
  await inParallel(groupsOf(waiting), OBJECTS_AT_ONCE, async ({ ref, events }) => {
    try {
      const canTry = unavailable < UNAVAILABLE_MAX && goOn();
      const outcome: Outcome = canTry ? await outcomeOf(services, ref, now) : { status: 'later' };
      if (outcome.status === 'put_back') unavailable += 1;
      await mark(billing, events, outcome, now);
      sum[outcome.status === 'later' ? 'put_back' : outcome.status] += events.length;
    } catch (error) {
      // The other objects go on: one that this build cannot write must not delay them.
      log.error('stripe-object-not-synced', { object: ref?.type, ...errorFields(error) });
      sum.unexpected.push(error);
    }
  });
  return sum;
}

/** The events of one object. Without an object, those that change nothing. */
interface Group {
  readonly ref: StripeRef | undefined;
  readonly events: WaitingEvent[];
}

function groupsOf(events: readonly WaitingEvent[]): Group[] {
  const groups = new Map<string, Group>();
  for (const event of events) {
    const ref = objectOf(event);
    const name = ref === undefined ? '' : `${ref.type} ${ref.id}`;
    const group = groups.get(name) ?? { ref, events: [] };
    group.events.push(event);
    groups.set(name, group);
  }
  return [...groups.values()];
}

/** @throws what is neither Stripe's answer nor the data's fault. */
async function outcomeOf(services: SyncServices, ref: StripeRef | undefined, now: Date): Promise<Outcome> {
  if (ref === undefined) return { status: 'ignored' };
  try {
    const { outcome, ...of } = await syncObject(services, ref, now);
    return { ...of, status: statusOf(outcome) };
  } catch (error) {
    const fromStripe = stripeErrorOf(error);
    const code = fromStripe?.code ?? fromStripe?.type ?? (error instanceof Error ? error.name : 'unknown');
    if (isStripeUnavailable(error)) return { status: 'put_back', error: code };
    if (fromStripe !== undefined) return { status: 'failed', error: code };
    const sqlState = dataFaultOf(error);
    if (sqlState !== undefined) return { status: 'failed', error: `SQLSTATE ${sqlState}` };
    throw error;
  }
}

function statusOf(outcome: SyncResult['outcome']): 'processed' | 'ignored' | 'mismatch' {
  switch (outcome) {
    case 'written':
    case 'unchanged':
    case 'gone':
      return 'processed';
    case 'mismatch':
      return 'mismatch';
    case 'ignored':
      return 'ignored';
    default:
      return outcome satisfies never;
  }
}

/**
 * Not the condition of the index of waiting events: without statistics, the planner would read all of that index instead of a few
 * rows by their keys.
 */
const IS_WAITING = `coalesce(status, '') = 'received'`;

/**
 * Writes the outcome of events. An outcome that another process wrote meanwhile stays. What Stripe sent of an erased tenant's customer
 * is forgotten: persons are in it.
 */
async function mark(
  billing: CrossTenantDatabase,
  events: readonly WaitingEvent[],
  outcome: Outcome,
  now: Date,
): Promise<void> {
  const isTried = outcome.status !== 'later';
  const isWaiting = outcome.status === 'put_back' || !isTried;
  const attempts = Math.max(...events.map((event) => event.attempts)) + 1;
  await billing.query(
    `update stripe_events
        set status = $2, error = $3, tenant_id = coalesce($4, tenant_id), processed_at = $5, next_attempt_at = $6,
            attempts = attempts + $7::int, updated_at = $8,
            payload = case when $9 or ${isOfErasedSql('payload')} then null else payload end
      where event_id = any($1::text[]) and ${IS_WAITING}`,
    [
      events.map((event) => event.event_id),
      isWaiting ? 'received' : outcome.status,
      'error' in outcome ? outcome.error : null,
      'tenantId' in outcome ? (outcome.tenantId ?? null) : null,
      isWaiting ? null : now,
      isWaiting ? new Date(now.getTime() + backoffMs(isTried ? attempts : 1)) : null,
      isTried ? 1 : 0,
      now,
      'isErased' in outcome,
    ],
    { short: true },
  );
}
