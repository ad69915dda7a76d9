import type { Alert, Condition } from './alert.ts';
import { pairsOf } from './kql.ts';

/** One measure, as it arrives in the workspace: of a counter, its increase since the last one. */
export interface Measure {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** The process that measured it. */
  readonly instance: string;
  readonly value: number;
}

type Where = Readonly<Record<string, readonly string[] | undefined>>;

function isOneOf(where: Where): (measure: Measure) => boolean {
  const pairs = pairsOf(where);
  return ({ attributes }) =>
    pairs.every(([attribute, values]) => values.includes(attributes[attribute] ?? ''));
}

const sum = (measures: readonly Measure[]): number => measures.reduce((total, { value }) => total + value, 0);

/** The values of each instance's series. */
function seriesOf(measures: readonly Measure[], keyOf: (measure: Measure) => string): Map<string, number[]> {
  const series = new Map<string, number[]>();
  for (const measure of measures) {
    const key = JSON.stringify([measure.instance, keyOf(measure)]);
    series.set(key, [...(series.get(key) ?? []), measure.value]);
  }
  return series;
}

function matches(condition: Condition, measures: readonly Measure[]): boolean {
  switch (condition.kind) {
    case 'share': {
      const part = sum(measures.filter(isOneOf(condition.where)));
      return part >= condition.atLeast && part > condition.above * sum(measures);
    }
    case 'increase':
      return sum(measures.filter(isOneOf(condition.where))) > condition.above;
    case 'level': {
      const { beyond } = condition;
      const all = seriesOf(measures.filter(isOneOf(condition.where)), ({ attributes }) =>
        JSON.stringify(attributes),
      );
      return [...all.values()].some((values) =>
        'above' in beyond ? Math.min(...values) > beyond.above : Math.max(...values) < beyond.below,
      );
    }
    case 'limits': {
      const limits = new Map(Object.entries(condition.above));
      const all = seriesOf(measures, ({ attributes }) => attributes[condition.by] ?? '');
      return [...all].some(([key, values]) => {
        const [, of] = JSON.parse(key) as [string, string];
        return Math.min(...values) > (limits.get(of) ?? Infinity);
      });
    }
    case 'missing':
      return measures.length === 0;
    default:
      return condition satisfies never;
  }
}

/** Whether an alert fires for the measures of its window: the same as its query says, for the local stack and for tests. */
export function firesFor({ condition }: Alert, measures: readonly Measure[]): boolean {
  return matches(
    condition,
    measures.filter(({ name }) => name === condition.metric),
  );
}
