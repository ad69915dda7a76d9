import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import type { Measured } from './metrics.ts';
import { resourceMetrics } from './metric-data.ts';

/** The media type of {@link prometheusText}. */
export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

/** The process's metrics as Prometheus text. Import this module late: it loads the SDK. See `readMetrics` for `measured`. */
export function prometheusText(measured: readonly Measured[]): string {
  // No resource and scope: a scraper names the instance itself.
  return new PrometheusSerializer('', false, undefined, true, true).serialize(resourceMetrics(measured));
}
