import { addDays } from '../../../platform/time/clock.ts';
import type { SubscriptionView } from './schemas.ts';

type Next = SubscriptionView['next'];

/** What the next step of a subscription depends on. Times are RFC 3339. */
export interface NextStepFacts {
  readonly status: string;
  readonly current_period_end: string;
  readonly trial_end: string | null;
  readonly cancel_at: string | null;
  readonly cancel_at_period_end: boolean;
  readonly past_due_since: string | null;
  /** Of the open invoice: when its payment is tried again. */
  readonly retry_at: string | null;
}

interface Step {
  readonly event: Next['event'];
  readonly at: string;
}

/**
 * What happens next to a subscription, and when, if nobody does anything. A planned end comes before a renewal at the same moment.
 * A trial without an end, a pause and a first payment that is open wait for a person: `none`.
 */
export function nextStep(facts: NextStepFacts, graceDays: number, now: Date): Next {
  const isLater = (at: string | null): at is string => at !== null && Date.parse(at) > now.getTime();
  const steps: Step[] = [];
  const end = facts.cancel_at ?? (facts.cancel_at_period_end ? facts.current_period_end : null);
  if (end !== null) steps.push({ event: 'cancels', at: end });
  switch (facts.status) {
    case 'trialing':
      steps.push({ event: 'trial_ends', at: facts.trial_end ?? facts.current_period_end });
      break;
    case 'active':
      steps.push({ event: 'renews', at: facts.current_period_end });
      break;
    case 'past_due':
    case 'unpaid': {
      const readOnlyAt =
        facts.past_due_since === null
          ? null
          : addDays(new Date(facts.past_due_since), graceDays).toISOString();
      if (isLater(facts.retry_at)) steps.push({ event: 'payment_retry', at: facts.retry_at });
      if (isLater(readOnlyAt)) steps.push({ event: 'read_only', at: readOnlyAt });
      break;
    }
    default:
  }
  const [first] = steps.toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at));
  return first ?? { event: 'none', at: null };
}
