import { afterAll } from 'vitest';
import { startCollector, type Collector } from '../../dev/telemetry/collector.ts';
import type { KeptPoint, KeptSpan } from '../../dev/telemetry/otlp.ts';
import { until, type TestApp } from './app.ts';

/** A collector of a test, and the app's settings that lead to it. */
export interface TestCollector {
  readonly settings: Readonly<Record<string, string>>;
  readonly spans: readonly KeptSpan[];
  /** The last value of each series, by name and attributes. */
  readonly points: ReadonlyMap<string, KeptPoint>;
  /** Every body that came. */
  readonly bodies: readonly string[];
  stop(): Promise<void>;
}

/**
 * Settings of an app whose spans are exported soon, for tests of what they contain. The app leaves it to the SDK, whose default is
 * five seconds.
 */
export const SPANS_SOON = { OTEL_BSP_SCHEDULE_DELAY: '250' };

/** Starts a collector for an app of this test file. It stops with the file. */
export async function openCollector(): Promise<TestCollector> {
  const spans: KeptSpan[] = [];
  const points = new Map<string, KeptPoint>();
  const bodies: string[] = [];
  const collector: Collector = await startCollector({
    port: 0,
    onSpans: (some) => void spans.push(...some),
    onMetrics: (some) => {
      for (const one of some) points.set(JSON.stringify([one.name, one.attributes]), one);
    },
    onBody: (body) => void bodies.push(body),
  });
  afterAll(() => collector.stop());
  return {
    settings: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER_ARG: '1',
      OTEL_METRIC_EXPORT_INTERVAL: '250',
    },
    spans,
    points,
    bodies,
    stop: () => collector.stop(),
  };
}

/** Waits until the app exports: its first answer begins to load the exporter. */
export async function untilExported(app: TestApp, collector: TestCollector): Promise<void> {
  await until(
    async () => {
      await app.request('GET', '/api/health/live');
      return collector.spans.length;
    },
    (count) => count > 0,
    30,
  );
}
