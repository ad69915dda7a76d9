import type { Job } from '../../../platform/jobs/job.ts';
import { stripeInBackground } from '../stripe/client.ts';
import { openWindows } from './open-windows.ts';
import { sendWindows } from './send-windows.ts';

/** One page of windows, with the longest wait for Stripe. With less time left, the next run continues. */
const RESERVE_MS = 40_000;

/** Tells Stripe what is used beyond what metered limits include. Without a key of Stripe it does nothing. */
export const usageReportJob: Job = {
  name: 'usage-report',
  budgetMs: 4 * 60_000, // it runs every five minutes
  async run(run) {
    const { settings, crossTenant } = run.services;
    if (settings.STRIPE_SECRET_KEY === undefined) return 'completed';
    const goOn = (): boolean => run.timeLeftMs() > RESERVE_MS;
    run.progress.cutoff = run.now;
    const opened = await openWindows(crossTenant.billing, run.now, goOn);
    const stripe = await stripeInBackground(settings);
    const { sent, refused, unknown, isAway } = await sendWindows(crossTenant.billing, stripe, run.now, goOn);
    run.progress.examined = sent + refused + unknown;
    Object.assign(run.progress.details, {
      windows_opened: opened,
      windows_sent: sent,
      windows_refused: refused,
      windows_unknown: unknown,
    });
    return isAway || !goOn() ? 'partial' : 'completed';
  },
};
