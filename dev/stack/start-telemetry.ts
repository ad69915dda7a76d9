import { startCollector } from '../telemetry/collector.ts';
import { SpanFiles } from '../telemetry/span-files.ts';
import type { AppSettings } from './app-settings.ts';

/** A collector in the stack's own process, and the settings with which the app sends it everything. */
export interface StackTelemetry {
  readonly settings: AppSettings;
  stop(): Promise<void>;
}

/** Starts the collector. What it gets is kept in `telemetry/` of the stack's folder. */
export async function startTelemetry(folder: string): Promise<StackTelemetry> {
  const files = new SpanFiles(folder);
  const collector = await startCollector({
    port: 0,
    onSpans: (spans) => files.addSpans(spans),
    onMetrics: (points) => files.setMetrics(points),
  });
  return {
    settings: {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER_ARG: '1',
      OTEL_METRIC_EXPORT_INTERVAL: '5000',
    },
    stop: () => collector.stop(),
  };
}
