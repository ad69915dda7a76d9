import { KeyUnavailable } from '../crypto/key-unavailable.ts';
import { DependencyUnavailable, faultOf } from '../db/errors.ts';
import { errorFields, log } from '../log/log.ts';
import { SettingsError } from '../config/settings.ts';
import { count } from '../telemetry/metrics.ts';
import { Problem } from './problem.ts';

/** After this time, a restarted database or a closed breaker usually works again. */
const RETRY_AFTER_S = 2;

/**
 * Turns an error into a problem. A Problem stays as it is, an unavailable dependency is 503, anything else is 500 and is
 * logged.
 */
export function problemOf(error: unknown, endpointName: string, traceId: string): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof SettingsError) {
    log.error('settings-invalid', { faults: error.message });
    return new Problem('INTERNAL_ERROR', {
      detail: `The app is not configured: see its log for ${error.settings.join(', ')}.`,
      cause: error,
    });
  }
  const unavailable = (reason: string): Problem =>
    new Problem('DEPENDENCY_UNAVAILABLE', {
      detail: `${reason}; try again.`,
      headers: { 'retry-after': String(RETRY_AFTER_S) },
      cause: error,
    });
  if (error instanceof KeyUnavailable) return unavailable(error.message);
  if (error instanceof DependencyUnavailable) return unavailable(`${error.dependency} is unavailable`);
  const fault = faultOf(error);
  if (fault === 'unavailable') return unavailable('The database is unavailable');
  if (fault === 'contention') return unavailable('The database is busy');
  if (fault === 'unique') return new Problem('CONFLICT', { detail: 'It exists already.', cause: error });
  if (fault === 'tenant_isolation') {
    count('tenant_isolation_refusals_total', {});
    log.error('tenant-isolation-refused', { endpoint: endpointName, trace_id: traceId });
  }
  log.error('request-failed', { endpoint: endpointName, trace_id: traceId, fault, ...errorFields(error) });
  return new Problem('INTERNAL_ERROR', { cause: error });
}
