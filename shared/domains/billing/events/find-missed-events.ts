import type Stripe from 'stripe';
import type { JobRun } from '../../../platform/jobs/job.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { DAY_MS, MINUTE_MS, systemClock } from '../../../platform/time/clock.ts';
import type { ReconcilePosition } from './reconcile-position.ts';
import { findUnstored, storeMissing } from './store-events.ts';
import { isNoEvent, readEventValue, type GivenEvent } from './stripe-event.ts';

/** Stripe lists the events of the last 30 days. */
const LISTED_MS = 30 * DAY_MS;

/** Each list begins so much before the newest event of the last one: an event may be listed later than a younger one. */
const OVERLAP_SECONDS = 15 * 60;

/** How often events are listed. Stripe itself repeats a webhook for three days, so this finds what is lost altogether. */
const EVERY_MS = 5 * MINUTE_MS;

const PAGE = 100;

/** Whether it is time. Also if the last time is in the future, which a job that ran `as_of` leaves. */
export function isListingDue({ listed_at: last, listing }: ReconcilePosition, now: Date): boolean {
  return (
    listing !== undefined || last === undefined || Math.abs(now.getTime() - Date.parse(last)) >= EVERY_MS
  );
}

/**
 * Stores the events that Stripe lists and that are not here, page by page. Each page's end is saved, and the watermark moves when
 * all pages are stored, so a run that dies misses none.
 * @throws what Stripe's SDK and the database throw.
 */
export async function findMissedEvents(
  run: JobRun,
  stripe: Stripe,
  position: ReconcilePosition,
  goOn: () => boolean,
): Promise<ReconcilePosition> {
  let at = position;
  let from = at.listing?.from ?? firstSecond(at, run.now);
  let newest = at.listing?.newest ?? from;
  while (goOn()) {
    const page = await stripe.events.list({
      limit: PAGE,
      created: { gte: from },
      ...(at.listing === undefined ? {} : { starting_after: at.listing.after }),
    });
    await storePage(run, page.data);
    newest = Math.max(newest, ...page.data.map(({ created }) => created));
    const last = page.data.at(-1);
    const { listing: _ended, ...rest } = at;
    const isEnd = !page.has_more || last === undefined;
    at = isEnd
      ? { ...rest, events_until: newest, listed_at: run.now.toISOString() }
      : { ...rest, listing: { from, newest, after: last.id } };
    await run.savePosition(at);
    if (isEnd) return at;
    ({ from } = at.listing ?? { from });
  }
  return at;
}

/**
 * The ids of Stripe's events since a time that are not stored here. Changes nothing. Stripe lists 30 days.
 * @throws what Stripe's SDK and the database throw.
 */
export async function listMissingEvents(
  billing: CrossTenantDatabase,
  stripe: Stripe,
  since: Date,
): Promise<string[]> {
  const gte = Math.max(0, Math.floor(since.getTime() / 1000) - OVERLAP_SECONDS);
  const missing: string[] = [];
  let page: string[] = [];
  const look = async (): Promise<void> => {
    missing.push(...(await findUnstored(billing, page)));
    page = [];
  };
  for await (const { id } of stripe.events.list({ limit: PAGE, created: { gte } })) {
    page.push(id);
    if (page.length === PAGE) await look();
  }
  await look();
  return missing;
}

function firstSecond({ events_until: until }: ReconcilePosition, now: Date): number {
  if (until !== undefined) return Math.max(0, until - OVERLAP_SECONDS);
  return Math.floor((now.getTime() - LISTED_MS) / 1000);
}

async function storePage(run: JobRun, events: readonly Stripe.Event[]): Promise<void> {
  const given = events
    .map((event) => readEventValue(event, JSON.stringify(event)))
    .filter((event): event is GivenEvent => !isNoEvent(event));
  // They come now, whatever moment the run works as of. Their messages would be refused if they were of another day.
  const found = { by: 'reconcile', now: systemClock.now() } as const;
  const missing = await storeMissing(run.services, given, found);
  const { details } = run.progress;
  run.progress.examined += events.length;
  details['events_listed'] = Number(details['events_listed'] ?? 0) + events.length;
  details['events_missed'] = Number(details['events_missed'] ?? 0) + missing;
}
