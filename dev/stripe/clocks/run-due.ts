import type { Context } from '../api/context.ts';
import type { Due } from '../api/due.ts';
import type { StandIn } from '../api/stand-in.ts';
import { listSubscriptionDues } from '../billing/due.ts';
import { listCheckoutDues } from '../checkout/due.ts';
import { listInvoiceDues } from '../invoices/due.ts';

/** What is due first, up to a time. Of what is due together, invoices come first, in the order in which they were made. */
function findFirst(
  context: Context,
  testClock: string | null,
  { until, skip }: { until: number; skip: ReadonlySet<string> },
): Due | undefined {
  const oldestFirst = [
    ...listInvoiceDues(context, testClock).reverse(),
    ...listSubscriptionDues(context, testClock).reverse(),
    ...listCheckoutDues(context, testClock).reverse(),
  ];
  let first: Due | undefined;
  for (const due of oldestFirst)
    if (due.at <= until && !skip.has(due.key) && (first === undefined || due.at < first.at)) first = due;
  return first;
}

interface Run {
  /** The clock whose time it is; null for the machine's. */
  readonly testClock: string | null;
  /** Seconds since 1970. */
  readonly until: number;
  /** What is left alone, because it has failed before. */
  readonly skip?: Set<string>;
}

const NONE: ReadonlySet<string> = new Set();

/**
 * Does the first thing that is due, in a transaction of its own; a test clock shows its time meanwhile. False where nothing is
 * due. What fails is undone, and is left alone from then on.
 */
export function runFirstDue(standIn: StandIn, { testClock, until, skip }: Run): boolean {
  let running: Due | undefined;
  try {
    standIn.perform(null, (context) => {
      running = findFirst(context, testClock, { until, skip: skip ?? NONE });
      if (running === undefined) return;
      const clock = testClock === null ? undefined : context.find('test_helpers.test_clock', testClock);
      if (clock !== undefined)
        context.store.put({ ...clock, frozen_time: Math.max(clock.frozen_time, running.at) });
      running.run(context);
    });
  } catch (error) {
    if (skip === undefined || running === undefined) throw error;
    console.error(`the Stripe stand-in could not do what was due (${running.key}):`, error);
    skip.add(running.key);
  }
  return running !== undefined;
}
