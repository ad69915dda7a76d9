import type { SubscriptionState } from './live-states.ts';
import { isLive, knownState } from './live-states.ts';

/** A subscription of a tenant, as far as it matters for which one counts. */
export interface Candidate {
  readonly subscriptionId: string;
  /** Undefined: an operator made it with the tenant. */
  readonly stripeSubscriptionId: string | undefined;
  /** What Stripe said of it last. */
  readonly stripeStatus: string | undefined;
  readonly status: string;
  readonly createdAt: Date;
}

/** What each subscription of a tenant is to be. */
export interface Decision {
  /** By subscription id. Only the states that one live subscription a tenant allows. */
  readonly states: ReadonlyMap<string, SubscriptionState>;
  /** Stripe's ids of those that are live there, and do not count here. */
  readonly seconds: readonly string[];
}

/** A state that this build does not know counts as the least. */
const LEAST = 'incomplete';

function stateAtStripe(candidate: Candidate): SubscriptionState {
  return knownState(candidate.stripeStatus ?? candidate.status) ?? LEAST;
}

/** Those whose first payment is not made come last, then the older one is first. So the decision does not depend on any order. */
function compare(a: Candidate, b: Candidate): number {
  return (
    Number(stateAtStripe(a) === LEAST) - Number(stateAtStripe(b) === LEAST) ||
    a.createdAt.getTime() - b.createdAt.getTime() ||
    (a.subscriptionId < b.subscriptionId ? -1 : 1)
  );
}

/**
 * Decides which of a tenant's subscriptions is the live one. One that an operator made gives way to one that is paid at Stripe.
 * A second one that is live at Stripe is `canceled` here, and becomes live when the first one ends.
 */
export function decideLive(candidates: readonly Candidate[]): Decision {
  const atStripe = candidates.filter(({ stripeSubscriptionId }) => stripeSubscriptionId !== undefined);
  const [first] = atStripe.filter((one) => isLive(stateAtStripe(one))).toSorted(compare);
  const ofOperator = candidates.find((one) => one.stripeSubscriptionId === undefined && isLive(one.status));
  const winner =
    first === undefined || (ofOperator !== undefined && stateAtStripe(first) === LEAST) ? ofOperator : first;
  const states = new Map<string, SubscriptionState>();
  const seconds: string[] = [];
  for (const one of candidates) {
    const state = stateAtStripe(one);
    const counts = one === winner || !isLive(state);
    states.set(one.subscriptionId, counts ? state : 'canceled');
    if (!counts && one.stripeSubscriptionId !== undefined && state !== LEAST)
      seconds.push(one.stripeSubscriptionId);
  }
  return { states, seconds };
}
