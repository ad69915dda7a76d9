import { expect, test } from 'vitest';
import { differingRollUps, rollUp } from './compare-roll-ups.ts';

const hour = (at: string, amount: string, events: number) => ({
  usage_type: 'storage_gb',
  unit: 'gb',
  hour: at,
  amount,
  events,
});
const stored = (granularity: string, at: string, amount: string, events: number) => ({
  metric_name: 'storage_gb',
  granularity,
  period_start: at,
  metric_unit: 'gb',
  amount,
  events,
});

const LEDGER = rollUp([
  hour('2026-11-26T22:00:00Z', '0.100000001', 2),
  hour('2026-11-26T23:00:00Z', '0.2', 1),
  hour('2026-11-27T00:00:00Z', '1', 1),
]);
const RIGHT = [
  stored('hour', '2026-11-26T22:00:00Z', '0.100000001', 2),
  stored('hour', '2026-11-26T23:00:00.000Z', '0.200000000', 1),
  stored('hour', '2026-11-27T00:00:00Z', '1', 1),
  stored('day', '2026-11-26T00:00:00Z', '0.300000001', 3),
  stored('day', '2026-11-27T00:00:00Z', '1', 1),
];

test('roll-ups that have the ledger’s exact sums do not differ', () => {
  expect(differingRollUps(LEDGER, RIGHT)).toEqual([]);
});

test('missing, wrong and foreign roll-ups differ, and are set to the ledger’s sums or to nothing', () => {
  const [first, , ...rest] = RIGHT;
  const wrong = { ...first, amount: '0.100000002' } as (typeof RIGHT)[number];
  const foreign = stored('hour', '2026-11-26T21:00:00Z', '5', 5);
  const differing = differingRollUps(LEDGER, [wrong, ...rest, foreign]);
  expect(differing.map(({ period_start, amount, events }) => [period_start, amount, events])).toEqual([
    ['2026-11-26T22:00:00.000Z', '0.100000001', 2],
    ['2026-11-26T23:00:00.000Z', '0.200000000', 1],
    ['2026-11-26T21:00:00Z', '0', 0],
  ]);
});

test('a roll-up that is nothing, as the ledger is, does not differ', () => {
  expect(differingRollUps(rollUp([]), [stored('day', '2026-11-26T00:00:00Z', '0.000000000', 0)])).toEqual([]);
});
