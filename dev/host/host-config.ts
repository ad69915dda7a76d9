import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { RpcLogLevel } from './core-types.ts';

const DEFAULT_FUNCTION_TIMEOUT_MS = 30 * 60_000; // Flex Consumption's default

/** Parses .NET's time span `[d.]hh:mm:ss[.fff]` into milliseconds; undefined if `text` is not one. */
export function parseTimeSpanMs(text: string): number | undefined {
  const match = /^(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?$/.exec(text.trim());
  if (!match) return undefined;
  const [, days = '0', hours = '0', minutes = '0', seconds = '0', fraction = '0'] = match;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const wholeSeconds = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return wholeSeconds * 1000 + Math.round(Number(`0.${fraction}`) * 1000);
}

function toTimeSpanMs(text: string, context: z.RefinementCtx): number {
  const ms = parseTimeSpanMs(text);
  if (ms === undefined)
    context.addIssue({ code: 'custom', message: `'${text}' is not a span of time (hh:mm:ss)` });
  return ms ?? 0;
}

const TimeSpanMs = z.string().transform(toTimeSpanMs);

/** `-1` means no limit. */
const TimeoutMs = z
  .string()
  .transform((text, context) => (text === '-1' ? Infinity : toTimeSpanMs(text, context)));

const LEVELS: Record<string, RpcLogLevel> = {
  trace: 'trace',
  debug: 'debug',
  information: 'information',
  warning: 'warning',
  error: 'error',
  critical: 'critical',
  none: 'none',
};

const LogLevel = z.string().transform((text, context) => {
  const level = LEVELS[text.toLowerCase()];
  if (!level) context.addIssue({ code: 'custom', message: `'${text}' is not a log level` });
  return level ?? 'information';
});

const ServiceBus = z.looseObject({
  autoCompleteMessages: z.boolean().default(true),
  maxMessageBatchSize: z.number().int().min(1).default(1000),
  minMessageBatchSize: z.number().int().min(1).default(1),
  maxBatchWaitTime: TimeSpanMs.default(30_000),
});

const HostJson = z.looseObject({
  version: z.literal('2.0'),
  functionTimeout: TimeoutMs.default(DEFAULT_FUNCTION_TIMEOUT_MS),
  extensions: z
    .looseObject({
      http: z.looseObject({ routePrefix: z.string().default('api') }).default({ routePrefix: 'api' }),
      serviceBus: ServiceBus.optional(),
    })
    .optional(),
  logging: z.looseObject({ logLevel: z.record(z.string(), LogLevel).default({}) }).optional(),
});

/** Service Bus settings of `host.json`; times in milliseconds. */
export interface ServiceBusConfig {
  readonly autoCompleteMessages: boolean;
  readonly maxMessageBatchSize: number;
  readonly minMessageBatchSize: number;
  readonly maxBatchWaitTime: number;
}

/** What the host uses of `host.json`; all times in milliseconds. */
export interface HostConfig {
  /** Without slashes at start and end; empty when routes have no prefix. */
  readonly routePrefix: string;
  /** Infinity when unlimited. */
  readonly functionTimeoutMs: number;
  readonly serviceBus: ServiceBusConfig;
  readonly logLevels: Readonly<Record<string, RpcLogLevel>>;
}

/** Reads `host.json` of the app directory. Throws when it is missing or invalid; the error lists every fault. */
export function readHostConfig(appDir: string): HostConfig {
  const file = join(appDir, 'host.json');
  const parsed = HostJson.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success) throw new Error(`${file} is not valid:\n${z.prettifyError(parsed.error)}`);
  const { extensions, functionTimeout, logging } = parsed.data;
  return {
    routePrefix: (extensions?.http.routePrefix ?? 'api').replace(/^\/+|\/+$/g, ''),
    functionTimeoutMs: functionTimeout,
    serviceBus: extensions?.serviceBus ?? ServiceBus.parse({}),
    logLevels: logging?.logLevel ?? {},
  };
}

/** The lowest level of a function's log lines that are written: of its own category, else of the ones above, else information. */
export function functionLogThreshold(config: HostConfig, functionName: string): RpcLogLevel {
  const levels = config.logLevels;
  return (
    levels[`Function.${functionName}.User`] ??
    levels[`Function.${functionName}`] ??
    levels['Function'] ??
    levels['default'] ??
    'information'
  );
}
