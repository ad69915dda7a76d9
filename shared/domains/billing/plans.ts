/** The paid plans. Every other plan, also an unknown one, has the free allowance. */
const PAID_PLANS: ReadonlySet<string> = new Set([
  'starter',
  'professional',
  'enterprise',
  'white_glove_basic',
  'white_glove_standard',
  'white_glove_premium',
]);

/** Whether a plan's usage counts against the free allowance. */
export function isFreePlan(planId: string): boolean {
  return !PAID_PLANS.has(planId);
}
