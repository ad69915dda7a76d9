import { readRollUps, setRollUps, type RollUp } from '../../shared/domains/analytics/compare-roll-ups.ts';
import { sumByHour, type HourOfUsage } from '../../shared/domains/billing/metering/compare-ledger.ts';
import type { Scope } from './scope.ts';

const NANOS = 9;

/** An exact amount, in units of 10⁻⁹. */
function nanosOf(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.');
  return BigInt(whole) * 10n ** BigInt(NANOS) + BigInt(fraction.padEnd(NANOS, '0').slice(0, NANOS));
}

function textOf(nanos: bigint): string {
  const digits = nanos.toString().padStart(NANOS + 1, '0');
  return `${digits.slice(0, -NANOS)}.${digits.slice(-NANOS)}`;
}

const keyOf = (one: Pick<RollUp, 'metric_name' | 'granularity' | 'period_start' | 'metric_unit'>): string =>
  [one.metric_name, one.granularity, new Date(one.period_start).toISOString(), one.metric_unit].join(' ');

/** The roll-ups that the ledger's hours give. */
export function rollUp(hours: readonly HourOfUsage[]): ReadonlyMap<string, RollUp> {
  const rolled = new Map<string, RollUp>();
  for (const { usage_type: name, unit, hour, amount, events } of hours)
    for (const granularity of ['hour', 'day']) {
      const start =
        granularity === 'hour'
          ? new Date(hour)
          : new Date(`${new Date(hour).toISOString().slice(0, 10)}T00:00:00Z`);
      const one = { metric_name: name, granularity, period_start: start.toISOString(), metric_unit: unit };
      const before = rolled.get(keyOf(one));
      rolled.set(keyOf(one), {
        ...one,
        amount: textOf(nanosOf(before?.amount ?? '0') + nanosOf(amount)),
        events: (before?.events ?? 0) + events,
      });
    }
  return rolled;
}

/** The roll-ups to set: those that differ from the ledger's, and those of which the ledger has nothing. */
export function differingRollUps(ledger: ReadonlyMap<string, RollUp>, stored: readonly RollUp[]): RollUp[] {
  const kept = new Map(stored.map((one) => [keyOf(one), one]));
  const isSame = (one: RollUp, other: RollUp | undefined): boolean =>
    other !== undefined && nanosOf(one.amount) === nanosOf(other.amount) && one.events === other.events;
  const wanted = [...ledger].flatMap(([key, one]) => (isSame(one, kept.get(key)) ? [] : [one]));
  const foreign = [...kept].flatMap(([key, one]) => {
    const none = { ...one, amount: '0', events: 0 };
    return ledger.has(key) || isSame(none, one) ? [] : [none];
  });
  return [...wanted, ...foreign];
}

/**
 * Compares a tenant's roll-ups with the ledger that they repeat. They are set only when no event is on its way: an event that comes
 * later would be added once more.
 */
export async function compareTenantRollUps(scope: Scope, tenantId: string, isQuiet: boolean): Promise<void> {
  const { services, findings, since, now } = scope;
  const { billing, analytics } = services.crossTenant;
  const from = new Date(`${since.toISOString().slice(0, 10)}T00:00:00Z`);
  const [hours, stored] = await Promise.all([
    sumByHour(billing, tenantId, from),
    readRollUps(analytics, tenantId, from),
  ]);
  const differing = differingRollUps(rollUp(hours), stored);
  const mends = scope.mend && isQuiet;
  if (mends && differing.length > 0) await setRollUps(analytics, tenantId, differing, now);
  findings.add(
    'roll_up_differs',
    tenantId,
    differing.map(({ metric_name, granularity, period_start, amount, events }) => ({
      metric_name,
      granularity,
      period_start,
      ledger: { amount, events },
    })),
    { mended: mends },
  );
}
