import { unauthorized, type Problem } from '../../platform/call/problem.ts';
import { count } from '../../platform/telemetry/metrics.ts';

/** Why a credential is refused, as the metric counts it. */
export type RefusalReason = 'missing' | 'malformed' | 'unknown' | 'revoked' | 'inactive' | 'expired';

/** The 401 of a refused credential, counted. */
export function refusedCredential(reason: RefusalReason, detail: string): Problem {
  count('sign_in_failures_total', { reason });
  return unauthorized(detail);
}
