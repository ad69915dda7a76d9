import type { BillingStanding } from '../auth/tenant-context.ts';
import { Problem } from '../call/problem.ts';

/** The header of an answer to a tenant whose payment has failed (RFC 9651: a token, with the end of the grace as a parameter). */
const HEADER = 'billing-standing';

const READ_ONLY: BillingStanding = { standing: 'read_only', graceEndsAt: null };

/** The standing at an instant: a grace that is over reads only, whether or not a timer has written that yet. */
export function standingAt(billing: BillingStanding, now: Date): BillingStanding {
  const { standing, graceEndsAt } = billing;
  const isOver = standing === 'grace' && graceEndsAt !== null && graceEndsAt <= now;
  return isOver ? READ_ONLY : billing;
}

/** What every answer says of a standing that is not good. */
export function standingHeaders({ standing, graceEndsAt }: BillingStanding): Record<string, string> {
  switch (standing) {
    case 'good':
      return {};
    case 'grace':
      return { [HEADER]: `past_due; grace-ends="${graceEndsAt?.toISOString() ?? ''}"` };
    case 'read_only':
      return { [HEADER]: 'read_only' };
  }
}

/** The refusal of a write of a tenant that may only read. */
export function paymentRequired(): Problem {
  return new Problem('PAYMENT_REQUIRED', {
    detail:
      'A payment has failed and the days of grace are over: the tenant may read, but not write, until it has paid. GET /api/v1/billing/subscription shows what is due, and POST /api/v1/billing/portal-sessions opens the page to pay.',
  });
}
