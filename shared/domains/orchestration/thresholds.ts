import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { Call, CallServices } from '../../platform/call/call.ts';
import { z } from 'zod';

/** A change by another process is seen within this time, a change by this process at once. */
const TTL_MS = 5_000;
const TENANTS_MAX = 10_000;

/** Thresholds by detector. */
export type Thresholds = ReadonlyMap<string, number>;

const rows = z.array(z.object({ detector_name: z.string(), confidence_threshold: z.number() }));

/** Cached, since every write of a result needs them and they seldom change. One entry has all of a tenant's detectors. */
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
 * The thresholds of the tenant's detectors, by name. Of a detector's several active configs, one counts: the tenant's own before
 * the platform's, then the set `default` before other sets, then the newest.
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

/** Call this after a detector config is made, changed or deleted, so that this process sees it at once. */
export function forgetThresholds(services: CallServices): void {
  memories.delete(services);
}

/** A detector's result, with the fields that its threshold needs. */
interface Measured {
  readonly detector: string;
  readonly status: string;
  readonly confidence?: number | undefined;
}

/** A success without a confidence counts as 0. A failed attempt needs no confidence and counts as 1. */
function confidenceOf({ status, confidence }: Measured): number {
  return confidence ?? (status === 'success' ? 0 : 1);
}

/** Adds to each result whether it is below its detector's threshold. A detector without a config has no threshold. */
export function withThresholds<R extends Measured>(
  results: readonly R[],
  thresholds: Thresholds,
): (R & { readonly below_threshold: boolean })[] {
  return results.map((result) => ({
    ...result,
    below_threshold: confidenceOf(result) < (thresholds.get(result.detector) ?? 0),
  }));
}
