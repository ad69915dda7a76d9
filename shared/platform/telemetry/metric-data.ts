import { ValueType, type HrTime } from '@opentelemetry/api';
import { emptyResource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type DataPoint,
  type MetricData,
  type MetricProducer,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import {
  countedSince,
  readMetrics,
  type HistogramValue,
  type Measured,
  type MetricValues,
  type SeriesValue,
} from './metrics.ts';

// The process's own numbers as the SDK's data, which all its exporters and serializers read. Loaded late, with the SDK.

/** The instrumentation scope of all metrics and spans. */
export const SCOPE = 'comply-ai';

const hrTime = (ms: number): HrTime => [Math.trunc(ms / 1000), Math.round((ms % 1000) * 1e6)];

/** The process's metrics, cumulative since its start. See {@link readMetrics} for `measured`. */
export function resourceMetrics(measured: readonly Measured[] = []): ResourceMetrics {
  return asResource(readMetrics(measured), AggregationTemporality.CUMULATIVE, countedSince);
}

/**
 * Gives a reader the process's metrics. Application Insights adds up what it gets, so it needs the difference to the last time
 * (`DELTA`).
 */
export class ProcessMetrics implements MetricProducer {
  readonly #temporality: AggregationTemporality;
  #last = new Map<string, number | HistogramValue>();
  #since = countedSince;

  constructor(temporality: AggregationTemporality) {
    this.#temporality = temporality;
  }

  collect(): Promise<CollectionResult> {
    const metrics = readMetrics();
    const told =
      this.#temporality === AggregationTemporality.DELTA
        ? metrics.map((one) => this.#difference(one))
        : metrics;
    const since = this.#since;
    if (this.#temporality === AggregationTemporality.DELTA) this.#since = Date.now();
    return Promise.resolve({ resourceMetrics: asResource(told, this.#temporality, since), errors: [] });
  }

  #difference(metric: MetricValues): MetricValues {
    if (metric.instrument.kind === 'gauge') return metric;
    const series = metric.series.flatMap(({ attributes, value }) => {
      const key = JSON.stringify([metric.name, attributes]);
      const change = minus(value, this.#last.get(key));
      this.#last.set(key, value);
      return change === undefined ? [] : [{ attributes, value: change }];
    });
    return { ...metric, series };
  }
}

/** The change of a value; undefined without one. */
function minus(
  value: number | HistogramValue,
  last: number | HistogramValue | undefined,
): number | HistogramValue | undefined {
  if (typeof value === 'number') {
    const change = value - (typeof last === 'number' ? last : 0);
    return change === 0 ? undefined : change;
  }
  const before = typeof last === 'object' ? last : { counts: [], sum: 0, count: 0 };
  if (value.count === before.count) return undefined;
  return {
    counts: value.counts.map((count, n) => count - (before.counts[n] ?? 0)),
    sum: value.sum - before.sum,
    count: value.count - before.count,
  };
}

function asResource(
  metrics: readonly MetricValues[],
  temporality: AggregationTemporality,
  since: number,
): ResourceMetrics {
  const [startTime, endTime] = [hrTime(since), hrTime(Date.now())];
  const point = <T>({ attributes }: SeriesValue, value: T): DataPoint<T> => ({
    startTime,
    endTime,
    attributes: { ...attributes },
    value,
  });
  const data = metrics
    .filter(({ series }) => series.length > 0)
    .map(({ name, instrument, series }): MetricData => {
      const { unit, description, buckets = [] } = instrument;
      const common = {
        descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
        aggregationTemporality: temporality,
      };
      const numbers = (): DataPoint<number>[] =>
        series.flatMap((one) => (typeof one.value === 'number' ? [point(one, one.value)] : []));
      switch (instrument.kind) {
        case 'counter':
          return { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers() };
        case 'gauge':
          return { ...common, dataPointType: DataPointType.GAUGE, dataPoints: numbers() };
        case 'histogram':
          return {
            ...common,
            dataPointType: DataPointType.HISTOGRAM,
            dataPoints: series.flatMap((one) => {
              if (typeof one.value === 'number') return [];
              const { counts, sum, count } = one.value;
              return [point(one, { buckets: { boundaries: [...buckets], counts: [...counts] }, sum, count })];
            }),
          };
      }
    });
  return { resource: emptyResource(), scopeMetrics: [{ scope: { name: SCOPE }, metrics: data }] };
}
