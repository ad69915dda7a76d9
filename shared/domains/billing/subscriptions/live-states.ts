/** A tenant has at most one subscription in these states. The unique index has the same list. */
const LIVE_STATES = ['active', 'trialing', 'past_due', 'paused', 'unpaid', 'incomplete'] as const;

/** SQL that is true for a live subscription. Without an alias, it is the condition of the unique index. */
export function liveSql(alias?: string): string {
  const column = alias === undefined ? 'status' : `${alias}.status`;
  return `${column} in (${LIVE_STATES.map((state) => `'${state}'`).join(', ')})`;
}
