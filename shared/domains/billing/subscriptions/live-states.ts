/** A tenant has at most one subscription in these states. The unique index has the same list. */
const LIVE_STATES = ['active', 'trialing', 'past_due', 'paused', 'unpaid', 'incomplete'] as const;
const ENDED_STATES = ['canceled', 'incomplete_expired'] as const;

/** The states of a subscription that this build knows. */
export type SubscriptionState = (typeof LIVE_STATES)[number] | (typeof ENDED_STATES)[number];

/** What Stripe says as one of our states; undefined for a state that this build does not know. */
export function knownState(stripeStatus: string): SubscriptionState | undefined {
  return [...LIVE_STATES, ...ENDED_STATES].find((state) => state === stripeStatus);
}

/** Whether a subscription in this state is live. */
export function isLive(state: string): boolean {
  return LIVE_STATES.some((live) => live === state);
}

/** SQL that is true for a live subscription. Without an alias, it is the condition of the unique index. */
export function liveSql(alias?: string): string {
  const column = alias === undefined ? 'status' : `${alias}.status`;
  return `${column} in (${LIVE_STATES.map((state) => `'${state}'`).join(', ')})`;
}
