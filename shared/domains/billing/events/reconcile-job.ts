import type { Job } from '../../../platform/jobs/job.ts';
import { log, errorFields } from '../../../platform/log/log.ts';
import { isStripeUnavailable, stripeInBackground } from '../stripe/client.ts';
import { compareObjects, isComparingDue } from './compare-objects.ts';
import { processDue } from './due-events.ts';
import { findMissedEvents, isListingDue } from './find-missed-events.ts';
import { reconcilePosition, type ReconcilePosition } from './reconcile-position.ts';

/** A page of events or objects takes less than this. With less time left, the next run continues. */
const RESERVE_MS = 10_000;

/**
 * Finds what no webhook told. Each run processes the events that are due. Every five minutes it lists Stripe's events since the
 * last time and stores the missing ones. Once a day it compares the objects themselves, so also after a gap of more than the 30
 * days that Stripe lists. A run stops where Stripe does not answer, and the next one continues there.
 */
export const stripeReconcile: Job = {
  name: 'stripe-reconcile',
  budgetMs: 50_000, // it runs every minute
  async run(run) {
    const { settings } = run.services;
    run.progress.cutoff = run.now;
    if (settings.STRIPE_SECRET_KEY === undefined) {
      run.progress.details['configured'] = false;
      return 'completed';
    }
    const goOn = (): boolean => run.timeLeftMs() > RESERVE_MS;
    const isDone = await processDue(run, goOn);
    try {
      const stripe = await stripeInBackground(settings);
      let position: ReconcilePosition = (await run.position(reconcilePosition)) ?? {};
      if (isListingDue(position, run.now)) position = await findMissedEvents(run, stripe, position, goOn);
      if (isComparingDue(position, run.now)) position = await compareObjects(run, stripe, position, goOn);
      const isPartial = position.listing !== undefined || position.comparing !== undefined || !isDone;
      return isPartial ? 'partial' : 'completed';
    } catch (error) {
      if (!isStripeUnavailable(error)) throw error;
      log.warn('stripe-unavailable', { job: 'stripe-reconcile', ...errorFields(error) });
      run.progress.details['stripe_unavailable'] = true;
      return 'partial';
    }
  },
};
