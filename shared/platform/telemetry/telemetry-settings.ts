import type { Settings } from '../config/settings.ts';

/** The settings that say where telemetry goes. */
export type TelemetrySettings = Pick<
  Settings,
  | 'DEPLOYMENT_ENVIRONMENT'
  | 'AZURE_REGION'
  | 'OTEL_EXPORTER_OTLP_ENDPOINT'
  | 'OTEL_EXPORTER_OTLP_HEADERS'
  | 'OTEL_TRACES_SAMPLER_ARG'
  | 'OTEL_METRIC_EXPORT_INTERVAL'
  | 'APPLICATIONINSIGHTS_CONNECTION_STRING'
  | 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING'
>;
