import type Stripe from 'stripe';
import { inParallel } from '../../../platform/blob/in-parallel.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { HOUR_MS, MINUTE_MS } from '../../../platform/time/clock.ts';
import { isStripeUnavailable, stripeErrorOf } from '../stripe/client.ts';
import { liveSql } from '../subscriptions/live-states.ts';
import type { Period } from './periods.ts';
import { refusalOf, reportedAt } from './window-time.ts';

/** Windows that are sent before the next ones are read. */
const PAGE = 100;
const AT_ONCE = 4;

/** Stripe remembers an identifier for at least 24 h. An older window that may have been sent is looked for before it is sent again. */
const REMEMBERED_MS = 23 * HOUR_MS;

/** A window that Stripe is to be told of. */
export interface PendingWindow {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly window_id: string;
  readonly period_start: string;
  readonly period_end: string;
  readonly amount: string;
  readonly event_name: string;
  readonly meter_id: string | null;
  /** The time that Stripe was told; null before the first attempt. */
  readonly reported_at: string | null;
  readonly created_at: string;
  readonly stripe_customer_id: string;
  readonly is_live: boolean;
}

/** What became of the windows of a run. */
export interface Sent {
  sent: number;
  refused: number;
  unknown: number;
  /** Whether Stripe could not be asked. The rest is for the next run. */
  isAway: boolean;
}

/** Tells Stripe of all windows that it was not told of, the oldest first. Safe to repeat and to run twice at once. */
export async function sendWindows(
  database: CrossTenantDatabase,
  stripe: Stripe,
  now: Date,
  goOn: () => boolean,
): Promise<Sent> {
  const outcome: Sent = { sent: 0, refused: 0, unknown: 0, isAway: false };
  let after: readonly [string, string] = ['-infinity', '00000000-0000-0000-0000-000000000000'];
  while (goOn() && !outcome.isAway) {
    const windows = await readPending(database, after);
    await inParallel(windows, AT_ONCE, async (window) => {
      if (outcome.isAway || !goOn()) return;
      await sendOne(database, stripe, window, outcome, now);
    });
    const last = windows.at(-1);
    if (last === undefined || windows.length < PAGE) break;
    after = [last.created_at, last.window_id];
  }
  return outcome;
}

function readPending(
  database: CrossTenantDatabase,
  after: readonly [string, string],
): Promise<PendingWindow[]> {
  return database.query<PendingWindow>(
    `select w.tenant_id, w.window_id, w.period_start, w.period_end, w.amount::text, w.event_name, w.meter_id, w.reported_at,
            w.created_at, c.stripe_customer_id,
            exists (select from user_subscriptions s where s.tenant_id = w.tenant_id and ${liveSql('s')}
                       and s.stripe_subscription_id is not null) as is_live
       from ops.meter_windows w join ops.stripe_customers c using (tenant_id)
      where w.status = 'pending' and (w.created_at, w.window_id) > ($1::timestamptz, $2::uuid)
      order by w.created_at, w.window_id limit ${PAGE}`,
    after,
    { prepare: false },
  );
}

async function sendOne(
  database: CrossTenantDatabase,
  stripe: Stripe,
  window: PendingWindow,
  outcome: Sent,
  now: Date,
): Promise<void> {
  const close = async (
    status: 'sent' | 'refused' | 'unknown',
    error: string | null = null,
  ): Promise<void> => {
    outcome[status] += 1;
    await closeWindow(database, window, { status, error }, now);
  };
  try {
    const state = await stateAtStripe(database, stripe, window, now);
    const refusal = state === 'new' ? refusalOf(window, window.is_live, now) : undefined;
    if (state === 'unknown' || state === 'counted' || refusal !== undefined) {
      if (state === 'counted') await close('sent');
      else await close(state === 'unknown' ? state : 'refused', refusal ?? 'not_to_be_found_out');
      return;
    }
    const at = state === 'repeat' ? repeatedAt(window, now) : reportedAt(window, now);
    await beginAttempt(database, window, at);
    await stripe.billing.meterEvents.create({
      event_name: window.event_name,
      identifier: window.window_id,
      timestamp: Math.floor(at.getTime() / 1000),
      payload: { stripe_customer_id: window.stripe_customer_id, value: window.amount },
    });
    await close('sent');
  } catch (error) {
    if (isRepeated(error)) await close('sent');
    else if (isStripeUnavailable(error)) {
      outcome.isAway = true;
      await closeWindow(database, window, { status: 'pending', error: codeOf(error) }, now);
    } else if (isOurClock(error))
      await closeWindow(database, window, { status: 'pending', error: codeOf(error) }, now);
    else if (stripeErrorOf(error) === undefined) throw error;
    else {
      log.warn('meter-window-refused', { ...errorFields(error), window_id: window.window_id });
      await close('refused', codeOf(error));
    }
  }
}

/**
 * What Stripe may know of a window. `new`: it was never sent, or Stripe has not counted it. `repeat`: it may have been, and Stripe
 * would refuse it as the same. `counted`: Stripe has it. `unknown`: another answer than these.
 */
async function stateAtStripe(
  database: CrossTenantDatabase,
  stripe: Stripe,
  window: PendingWindow,
  now: Date,
): Promise<'new' | 'repeat' | 'counted' | 'unknown'> {
  if (window.reported_at === null) return 'new';
  if (now.getTime() - Date.parse(window.created_at) < REMEMBERED_MS) return 'repeat';
  if (window.meter_id === null) return 'unknown';
  const times = [Date.parse(window.reported_at), reportedAt(window, new Date(window.created_at)).getTime()];
  const [from, to] = [Math.min(...times), Math.max(...times)].map(wholeMinute);
  const span = { start: new Date(from ?? 0), end: new Date((to ?? 0) + MINUTE_MS) };
  const [ours, counted] = await Promise.all([
    sumSent(database, window, span),
    sumCounted(stripe, window.meter_id, window.stripe_customer_id, span),
  ]);
  const more = counted - ours;
  if (more === 0) return 'new';
  return more === Number(window.amount) ? 'counted' : 'unknown';
}

/** Stripe sums up whole minutes. */
const wholeMinute = (at: number): number => Math.floor(at / MINUTE_MS) * MINUTE_MS;

/**
 * The time of a repetition: as before, so that the window is found by it; but now, if the invoice that would have had it is closed.
 * If the first attempt did reach Stripe, the identifier tells it that this is the same.
 */
function repeatedAt(window: PendingWindow, now: Date): Date {
  const before = new Date(window.reported_at ?? now);
  const isOfPeriod = before.getTime() < Date.parse(window.period_end);
  return isOfPeriod && reportedAt(window, now) === now ? now : before;
}

/** What Stripe was told of a span, as far as this database knows. */
async function sumSent(database: CrossTenantDatabase, window: PendingWindow, span: Period): Promise<number> {
  const [row] = await database.query<{ amount: number }>(
    `select coalesce(sum(amount), 0)::float8 as amount from ops.meter_windows
      where tenant_id = $1 and event_name = $2 and status = 'sent' and reported_at >= $3 and reported_at < $4`,
    [window.tenant_id, window.event_name, span.start, span.end],
  );
  return row?.amount ?? 0;
}

/** What Stripe has counted of a span. */
export async function sumCounted(
  stripe: Stripe,
  meter: string,
  customer: string,
  span: Period,
): Promise<number> {
  const { data } = await stripe.billing.meters.listEventSummaries(meter, {
    customer,
    start_time: span.start.getTime() / 1000,
    end_time: span.end.getTime() / 1000,
  });
  return data.reduce((sum, { aggregated_value }) => sum + aggregated_value, 0);
}

/** Written before Stripe is asked: a window without it was never sent. */
function beginAttempt(database: CrossTenantDatabase, window: PendingWindow, at: Date): Promise<unknown> {
  return database.query(
    `update ops.meter_windows set attempts = attempts + 1, reported_at = $3 where tenant_id = $1 and window_id = $2`,
    [window.tenant_id, window.window_id, at],
  );
}

function closeWindow(
  database: CrossTenantDatabase,
  { tenant_id, window_id }: PendingWindow,
  {
    status,
    error,
  }: { readonly status: 'pending' | 'sent' | 'refused' | 'unknown'; readonly error: string | null },
  now: Date,
): Promise<unknown> {
  return database.query(
    `update ops.meter_windows
        set status = $3, error = $4, sent_at = case when $3 = 'sent' then $5::timestamptz end
      where tenant_id = $1 and window_id = $2 and status = 'pending'`,
    [tenant_id, window_id, status, error, now],
  );
}

/** Whether Stripe has an event of this identifier. It says so only in words. */
function isRepeated(error: unknown): boolean {
  return (
    stripeErrorOf(error) !== undefined &&
    error instanceof Error &&
    /already exists with identifier/i.test(error.message)
  );
}

/** Stripe's clock is behind ours. The same window is fine later. */
function isOurClock(error: unknown): boolean {
  return stripeErrorOf(error)?.code === 'timestamp_in_future';
}

function codeOf(error: unknown): string {
  const found = stripeErrorOf(error);
  return found?.code ?? found?.type ?? 'unavailable';
}
