import { sumUsage } from '../analytics/sum-usage.ts';
import { readUsedShares } from '../billing/metering/used-shares.ts';
import { measureMappings } from '../mapping/measure.ts';
import {
  countFailedDetectors,
  countFailedOrchestrations,
  measureOrchestrations,
  type OrchestrationMeasure,
} from '../orchestration/measure.ts';
import type { CrossTenantDatabases } from '../../platform/call/call.ts';
import { errorFields, log } from '../../platform/log/log.ts';
import { MINUTE_MS } from '../../platform/time/clock.ts';
import type { AlertCondition } from './conditions.ts';

/** A tenant's condition. */
export interface Conditioned<C extends AlertCondition = AlertCondition> {
  readonly tenant_id: string;
  readonly condition: C;
}

/** What was measured. */
export interface Measured {
  /** Null if there are no data, or too few. */
  readonly value: number | null;
  /** How many rows it was measured by. Null for usage. */
  readonly samples: number | null;
}

type Type = AlertCondition['type'];
type OfType<T extends Type> = Extract<AlertCondition, { readonly type: T }>;
/** Measures conditions of one type, in their order, by the function of the domain that owns the rows. */
type Measure<T extends Type> = (
  databases: CrossTenantDatabases,
  of: readonly Conditioned<OfType<T>>[],
  now: Date,
) => Promise<Measured[]>;

interface Windowed {
  readonly tenant_id: string;
  readonly condition: { readonly window_minutes: number };
}

function windowsOf(of: readonly Windowed[], now: Date) {
  return of.map(({ tenant_id, condition }) => ({
    tenant_id,
    from: new Date(now.getTime() - condition.window_minutes * MINUTE_MS),
    to: now,
  }));
}

/** A mean or a share of some rows, which is nothing with too few of them. */
function ofSamples(
  { condition }: { readonly condition: { readonly min_samples: number } },
  samples: number,
  value: () => number | null,
): Measured {
  return { value: samples < condition.min_samples || samples === 0 ? null : value(), samples };
}

type Judged = OfType<'coverage_mean' | 'coverage_share' | 'failure_share'>;

/** Measures a share or a mean of finished orchestrations. */
const orchestrations =
  <T extends Judged['type']>(valueOf: (measure: OrchestrationMeasure) => number | null): Measure<T> =>
  async ({ core }, of, now) => {
    const judged = of as readonly Conditioned<Judged>[];
    const windows = windowsOf(judged, now).map((window, n) => {
      const condition = judged[n]?.condition;
      return {
        ...window,
        coverage_below: condition?.type === 'coverage_share' ? condition.coverage_below : 0,
      };
    });
    const measures = await measureOrchestrations(core, windows);
    return zip(judged, measures, (one, measure) => ofSamples(one, measure.finished, () => valueOf(measure)));
  };

const MEASURES: { readonly [T in Type]: Measure<T> } = {
  usage_share: async ({ billing }, of, now) => {
    const limits = of.map(({ tenant_id, condition: { usage_type } }) => ({ tenant_id, usage_type }));
    return (await readUsedShares(billing, limits, now)).map((value) => ({ value, samples: null }));
  },
  usage_amount: async ({ analytics }, of, now) => {
    const windows = of.map(({ tenant_id, condition: { usage_type, usage_unit, window_hours: hours } }) => ({
      tenant_id,
      usage_type,
      usage_unit,
      hours,
    }));
    return (await sumUsage(analytics, windows, now)).map((value) => ({ value, samples: null }));
  },
  coverage_mean: orchestrations(({ mean_coverage }) => mean_coverage),
  coverage_share: orchestrations(({ below, finished }) => below / finished),
  failure_share: orchestrations(({ failed, finished }) => failed / finished),
  confidence_mean: async ({ core }, of, now) =>
    zip(of, await measureMappings(core, windowsOf(of, now)), (one, measure) =>
      ofSamples(one, measure.answered, () => measure.mean_confidence),
    ),
  review_share: async ({ core }, of, now) =>
    zip(of, await measureMappings(core, windowsOf(of, now)), (one, measure) =>
      ofSamples(one, measure.answered, () => measure.reviews / measure.answered),
    ),
  failure_count: async ({ core }, of, now) =>
    (await countFailedOrchestrations(core, windowsOf(of, now))).map(counted),
  detector_failure_count: async ({ core }, of, now) =>
    (await countFailedDetectors(core, windowsOf(of, now))).map(counted),
};

const counted = (value: number): Measured => ({ value, samples: value });

function zip<L, R, T>(left: readonly L[], right: readonly R[], join: (l: L, r: R) => T): T[] {
  return left.flatMap((one, n) => {
    const other = right[n];
    return other === undefined ? [] : [join(one, other)];
  });
}

/**
 * Measures conditions of many tenants, one statement for each type among them. What cannot be measured now, because a database is
 * unavailable, has no entry, and does not stop the others.
 */
export async function measureConditions<T extends Conditioned>(
  databases: CrossTenantDatabases,
  conditioned: readonly T[],
  now: Date,
): Promise<ReadonlyMap<T, Measured>> {
  const measured = new Map<T, Measured>();
  for (const type of Object.keys(MEASURES) as Type[]) {
    const of = conditioned.filter(({ condition }) => condition.type === type);
    if (of.length === 0) continue;
    try {
      // It gets the conditions of its own type: the filter above chose them.
      const measure = MEASURES[type] as Measure<Type>;
      const values = await measure(databases, of, now);
      zip(of, values, (one, value) => measured.set(one, value));
    } catch (error) {
      log.error('alerts-unmeasured', { condition_type: type, conditions: of.length, ...errorFields(error) });
    }
  }
  return measured;
}
