import { errorFields, log } from '../log/log.ts';
import type { TelemetrySettings } from './telemetry-settings.ts';

/** The SDK's load takes a core for some tens of ms. A new instance's first requests come before it. */
const LOAD_AFTER_MS = 250;
/** The host does not wait longer for a process that ends. */
const STOP_MS = 2_000;

let asked = false;
let running: Promise<{ stop(): Promise<void> } | undefined> | undefined;

/**
 * A handler after whose first call telemetry is exported, if the settings say where to. The SDK is loaded then and not at the start,
 * which somebody waits for. What was counted before is exported too; spans are made from then on.
 */
export function exportAfter<Input extends readonly unknown[], Output>(
  settings: () => TelemetrySettings,
  handler: (...input: Input) => Promise<Output>,
): (...input: Input) => Promise<Output> {
  return async (...input) => {
    try {
      return await handler(...input);
    } finally {
      exportSoon(settings);
    }
  };
}

/** Only the first call does something, and it never throws. */
function exportSoon(settings: () => TelemetrySettings): void {
  if (asked) return;
  asked = true;
  setTimeout(() => {
    running = load(settings).catch((error: unknown) => {
      log.error('telemetry-not-started', errorFields(error));
      return undefined;
    });
  }, LOAD_AFTER_MS).unref();
}

async function load(settings: () => TelemetrySettings): Promise<{ stop(): Promise<void> } | undefined> {
  const given = settings();
  if (
    given.OTEL_EXPORTER_OTLP_ENDPOINT === undefined &&
    given.APPLICATIONINSIGHTS_CONNECTION_STRING === undefined
  )
    return undefined;
  const { startExport } = await import('./sdk.ts');
  return startExport(given);
}

/** Sends what waits, and ends the export. Never throws, and takes two seconds at most. */
export async function stopExport(): Promise<void> {
  const started = await running;
  running = undefined;
  if (started === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, STOP_MS);
  });
  await Promise.race([started.stop().catch(() => undefined), enough]);
  clearTimeout(timer);
}
