import { context } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
  type MetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { VERSION } from '../config/version.ts';
import { newId } from '../ids/ids.ts';
import { log } from '../log/log.ts';
import type { TelemetrySettings } from './telemetry-settings.ts';
import { ProcessMetrics, SCOPE } from './metric-data.ts';
import { tracingWith } from './spans.ts';
import { useTracing } from './tracing.ts';

// Loaded late by `export.ts`, as a chunk of its own: nobody waits for it.

const SERVICE = 'comply-ai-backend';
/** A send that takes longer has failed. The next one comes with the next batch. */
const SEND_MS = 10_000;
/** Spans in memory. When the collector is away and they are full, further spans are dropped. */
const SPANS_MAX = 2_048;
/** A failing export is logged at most this often. */
const TELL_EVERY_MS = 60_000;

interface Exporters {
  readonly spans: SpanExporter;
  readonly metrics: PushMetricExporter;
  readonly temporality: AggregationTemporality;
}

/** Begins to export spans and metrics. Returns how to end it. */
export async function startExport(settings: TelemetrySettings): Promise<{ stop(): Promise<void> }> {
  const exporters = [...otlp(settings), ...(await applicationInsights(settings))];
  const resource = resourceFromAttributes({
    'service.name': SERVICE,
    'service.version': VERSION,
    'deployment.environment.name': settings.DEPLOYMENT_ENVIRONMENT,
    'cloud.region': settings.AZURE_REGION,
    'service.instance.id': newId(),
  });
  const tracers = new BasicTracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(settings.OTEL_TRACES_SAMPLER_ARG) }),
    spanProcessors: exporters.map(({ spans }) => processorOf(spans)),
  });
  const meters = new MeterProvider({
    resource,
    readers: exporters.map((one) => readerOf(one, settings.OTEL_METRIC_EXPORT_INTERVAL)),
  });
  // Without it a span would not know what it is part of. Set once in a process: the API keeps the first.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  useTracing(tracingWith(tracers.getTracer(SCOPE, VERSION)));
  log.info('telemetry-started', { exporters: exporters.length });
  return {
    async stop() {
      useTracing(undefined);
      await Promise.allSettled([tracers.shutdown(), meters.shutdown()]);
    },
  };
}

function processorOf(exporter: SpanExporter): SpanProcessor {
  return new BatchSpanProcessor(watched(exporter, 'spans'), {
    maxQueueSize: SPANS_MAX,
    exportTimeoutMillis: SEND_MS,
  });
}

function readerOf({ metrics, temporality }: Exporters, intervalMs: number): MetricReader {
  return new PeriodicExportingMetricReader({
    exporter: watched(metrics, 'metrics'),
    exportIntervalMillis: intervalMs,
    exportTimeoutMillis: Math.min(SEND_MS, intervalMs),
    metricProducers: [new ProcessMetrics(temporality)],
  });
}

/** What an exporter says of a send. */
interface Sent {
  readonly code: number;
}

/** Says in the log when a send fails: the SDK says nothing. */
function watched<E extends SpanExporter | PushMetricExporter>(exporter: E, what: string): E {
  const send: (items: never, done: (sent: Sent) => void) => void = exporter.export.bind(exporter);
  let toldAt = -Infinity;
  exporter.export = (items: never, done: (sent: Sent) => void): void => {
    send(items, (sent) => {
      if (sent.code !== 0 && performance.now() - toldAt > TELL_EVERY_MS) {
        toldAt = performance.now();
        log.warn('telemetry-not-exported', { what });
      }
      done(sent);
    });
  };
  return exporter;
}

function otlp(settings: TelemetrySettings): Exporters[] {
  const endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined) return [];
  const to = (path: string) => ({
    url: `${endpoint.replace(/\/$/, '')}/v1/${path}`,
    headers: headersOf(settings.OTEL_EXPORTER_OTLP_HEADERS),
    timeoutMillis: SEND_MS,
  });
  return [
    {
      spans: new OTLPTraceExporter(to('traces')),
      metrics: new OTLPMetricExporter(to('metrics')),
      temporality: AggregationTemporality.CUMULATIVE,
    },
  ];
}

/** `name=value` pairs, percent-encoded and comma-separated, as the OTLP exporters' specification has them. */
function headersOf(text = ''): Record<string, string> {
  return Object.fromEntries(
    text.split(',').flatMap((pair) => {
      const equals = pair.indexOf('=');
      if (equals <= 0) return [];
      return [[pair.slice(0, equals).trim(), decodeURIComponent(pair.slice(equals + 1).trim())]];
    }),
  );
}

async function applicationInsights(settings: TelemetrySettings): Promise<Exporters[]> {
  const connectionString = settings.APPLICATIONINSIGHTS_CONNECTION_STRING;
  if (connectionString === undefined) return [];
  const [{ AzureMonitorMetricExporter, AzureMonitorTraceExporter }, credential] = await Promise.all([
    import('@azure/monitor-opentelemetry-exporter'),
    credentialOf(settings.APPLICATIONINSIGHTS_AUTHENTICATION_STRING),
  ]);
  // Nothing is kept on the instance's disk, which ends with it.
  const options = {
    connectionString,
    disableOfflineStorage: true,
    ...(credential === undefined ? {} : { credential }),
  };
  return [
    {
      spans: new AzureMonitorTraceExporter(options),
      metrics: new AzureMonitorMetricExporter(options),
      temporality: AggregationTemporality.DELTA,
    },
  ];
}

/** The setting has the host's own form: `Authorization=AAD`, or `ClientId=…;Authorization=AAD`. */
async function credentialOf(authentication: string | undefined) {
  if (authentication === undefined) return undefined;
  const clientId = /(?:^|;)\s*ClientId=([^;]+)/i.exec(authentication)?.[1]?.trim();
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId });
}
