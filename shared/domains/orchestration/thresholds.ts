import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { Call, CallServices } from '../../platform/call/call.ts';
import { z } from 'zod';

/** A changed threshold is seen here within this time; by the process that changed it at once. */
const TTL_MS = 5_000;
const TENANTS_MAX = 10_000;

/** Thresholds by detector. */
export type Thresholds = ReadonlyMap<string, number>;

const rows = z.array(z.object({ detector_name: z.string(), confidence_threshold: z.number() }));

/** Every write of a result needs them, and they change seldom: one look-up a tenant, for all of its detectors. */
const memories = new WeakMap<CallServices, SingleFlightCache<Thresholds>>();

function memoryOf(services: CallServices): SingleFlightCache<Thresholds> {
  let memory = memories.get(services);
  if (memory === undefined) {
    memory = new SingleFlightCache({ ttlMs: TTL_MS, max: TENANTS_MAX });
    memories.set(services, memory);
  }
  return memory;
}

/**
 * The thresholds of the tenant's detectors by name. A detector with several active configs has that of the tenant's own before
 * the platform's, of the set `default` before other sets, then of the newest.
 */
export function findThresholds(call: Call): Thresholds | Promise<Thresholds> {
  return memoryOf(call.services).find(call.tenant.tenantId, async () => {
    const found = await call.tenant.statement(
      `select d.* from scope, lateral (
         select distinct on (detector_name) detector_name, confidence_threshold from detector_configs
          where tenant_id in (scope.tenant_id, 'platform') and is_active
          order by detector_name, tenant_id = scope.tenant_id desc, detector_set = 'default' desc, created_at desc, id desc
         offset 0) d`,
    );
    return new Map(rows.parse(found).map((row) => [row.detector_name, row.confidence_threshold]));
  });
}

/** To be called after a detector config was made, changed or deleted, so that this process sees it at once. */
export function forgetThresholds(services: CallServices): void {
  memories.delete(services);
}

/** A detector's result, as far as its threshold looks at it. */
interface Measured {
  readonly detector: string;
  readonly status: string;
  readonly confidence?: number | undefined;
}

/** A success that does not say how sure it is counts as not sure at all; a try that failed has nothing to be sure of. */
function confidenceOf({ status, confidence }: Measured): number {
  return confidence ?? (status === 'success' ? 0 : 1);
}

/** Results, each with whether it is less sure than its detector's threshold. A detector without a config has none to reach. */
export function withThresholds<R extends Measured>(
  results: readonly R[],
  thresholds: Thresholds,
): (R & { readonly below_threshold: boolean })[] {
  return results.map((result) => ({
    ...result,
    below_threshold: confidenceOf(result) < (thresholds.get(result.detector) ?? 0),
  }));
}
