import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import { createAdminHandler } from './http/admin.ts';
import { loadApp, type LoadedApp } from './worker/app-loader.ts';
import type { RpcInvocationRequest } from './core-types.ts';
import { functionLogThreshold, readHostConfig, type HostConfig } from './host-config.ts';
import { describeError, isLogged, logToConsole, type HostLog } from './host-log.ts';
import { readFunction, type HostedFunction, type TriggerKind } from './worker/hosted-function.ts';
import { startHttpTrigger } from './http/http-trigger.ts';
import {
  createInvoker,
  runAppHooks,
  withTimeout,
  type FunctionLog,
  type Invoker,
} from './worker/invocation.ts';
import { createRouteTable } from './http/route-table.ts';
import { createManualMessageRequest } from './service-bus/service-bus-message.ts';
import { startServiceBusTrigger } from './service-bus/service-bus-trigger.ts';
import { applySettings, readBodyLimit, readLocalSettings, resolveConnection } from './settings.ts';
import { openTimerStatusStore, type TimerStatusStore } from './timer/timer-status.ts';
import { createTimerRequest, startTimerTrigger, type RunningTrigger } from './timer/timer-trigger.ts';

/** The port of Azure Functions Core Tools. */
const DEFAULT_PORT = 7071;

/** How long a stop waits for running invocations. */
const STOP_GRACE_MS = 10_000;

/** Options of {@link startFunctionsHost}. */
export interface FunctionsHostOptions {
  /** The folder of the app's package.json and host.json. */
  readonly appDir: string;
  /** If the port is in use, the next free one is taken; 0 means any free port. Default 7071. */
  readonly port?: number;
  /** The folder of the timers' status. Default `.local/host` in the app directory. */
  readonly stateDir?: string;
  /** A `local.settings.json`; the environment overrides it. */
  readonly settingsFile?: string;
  /** App settings that override the environment until the host stops. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Triggers that do not run. Their functions can still be run by hand. */
  readonly disable?: { readonly kinds?: readonly TriggerKind[]; readonly names?: readonly string[] };
  /** Logs every invocation. */
  readonly verbose?: boolean;
  /** Default: the console. */
  readonly log?: HostLog;
}

/** A function, as the host describes it to its callers. */
export interface FunctionInfo {
  readonly name: string;
  /** As Azure names it: `httpTrigger`, `serviceBusTrigger`, `timerTrigger`. */
  readonly type: string;
  /** Only for HTTP functions: the route with its prefix, without a leading slash. */
  readonly route?: string;
  readonly methods?: readonly string[];
  readonly disabled: boolean;
}

/** A running app. */
export interface FunctionsHost {
  readonly port: number;
  readonly functions: readonly FunctionInfo[];
  /**
   * Runs a function by hand and waits for its end. `input` is the body of one message or of a POST; timers ignore it.
   * Rejects when there is no such function, or with the error of its handler.
   */
  invoke(name: string, input?: string): Promise<void>;
  /** Starts no new work, waits up to 10 s for running work, then calls the app's `appTerminate` hooks. */
  stop(): Promise<void>;
}

function toInfo(fn: HostedFunction): FunctionInfo {
  const { name, type, disabled } = fn;
  return fn.kind === 'http'
    ? { name, type, disabled, route: fn.route, methods: fn.methods }
    : { name, type, disabled };
}

function createManualRequest(
  fn: HostedFunction,
  input: string,
  store: TimerStatusStore,
  port: number,
): RpcInvocationRequest {
  switch (fn.kind) {
    case 'serviceBus':
      return createManualMessageRequest(fn, input);
    case 'timer':
      return createTimerRequest(fn, store.read(fn.name), false);
    case 'other':
      return { invocationId: randomUUID(), inputData: [{ name: fn.bindingName, data: { string: input } }] };
    case 'http': {
      const http = {
        url: `http://127.0.0.1:${port}/${fn.route}`,
        method: fn.methods.includes('POST') ? 'POST' : (fn.methods[0] ?? 'POST'),
        headers: { 'content-type': 'application/json' },
        query: {},
        params: {},
        body: { bytes: Buffer.from(input) },
      };
      return { invocationId: randomUUID(), inputData: [{ name: fn.bindingName, data: { http } }] };
    }
    default:
      return fn satisfies never;
  }
}

/** Reads all registrations. Throws one error with all their faults. */
function readFunctions(
  app: LoadedApp,
  config: HostConfig,
  options: FunctionsHostOptions,
  log: HostLog,
): HostedFunction[] {
  const { kinds = [], names = [] } = options.disable ?? {};
  const isDisabled = (name: string, kind: HostedFunction['kind']): boolean =>
    names.includes(name) || (kinds as readonly string[]).includes(kind);
  const faults: Error[] = [];
  const functions: HostedFunction[] = [];
  for (const registered of app.registry.functions.values()) {
    try {
      const fn = readFunction(registered, config, isDisabled);
      functions.push(fn);
      if (registered.metadata.retryOptions) {
        log({
          level: 'warning',
          source: fn.name,
          message: 'Its retry options are ignored by the local functions host.',
        });
      }
      if (fn.kind === 'other') {
        log({
          level: 'warning',
          source: fn.name,
          message: `The local functions host has no ${fn.type}: the function can only be run by hand.`,
        });
      }
    } catch (error) {
      faults.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
  const [first] = faults;
  if (faults.length === 1 && first) throw first;
  if (first) throw new Error(faults.map((fault) => describeError(fault)).join('\n'));
  return functions;
}

function startTriggers(
  functions: readonly HostedFunction[],
  invoke: Invoker,
  config: HostConfig,
  shared: { store: TimerStatusStore; verbose: boolean; log: HostLog },
): RunningTrigger[] {
  const { functionTimeoutMs } = config;
  const triggers: RunningTrigger[] = [];
  for (const fn of functions) {
    if (fn.disabled) continue;
    if (fn.kind === 'timer') triggers.push(startTimerTrigger({ fn, invoke, functionTimeoutMs, ...shared }));
    if (fn.kind === 'serviceBus') {
      const connectionString = resolveConnection(fn.connection, `Function "${fn.name}"`);
      const { verbose, log } = shared;
      const own = { fn, connectionString, config: config.serviceBus };
      triggers.push(startServiceBusTrigger({ ...own, invoke, functionTimeoutMs, verbose, log }));
    }
  }
  return triggers;
}

function createFunctionLog(config: HostConfig, verbose: boolean, log: HostLog): FunctionLog {
  const thresholds = new Map<string, ReturnType<typeof functionLogThreshold>>();
  return (name, level, category, message) => {
    let threshold = thresholds.get(name);
    if (!threshold) thresholds.set(name, (threshold = functionLogThreshold(config, name)));
    // Below warnings, the library's own lines do not help a reader of the app's log.
    const lowest = category === 'user' || verbose ? threshold : 'warning';
    if (isLogged(level, lowest)) log({ level, source: name, message });
  };
}

/** Stops all triggers; waits no longer than the grace time. */
async function stopAll(triggers: readonly RunningTrigger[], log: HostLog): Promise<void> {
  try {
    await withTimeout(Promise.all(triggers.map((trigger) => trigger.stop())), STOP_GRACE_MS);
  } catch (error) {
    log({
      level: 'warning',
      source: 'Host',
      message: `Stopped before all work was done: ${describeError(error)}`,
    });
  }
}

/** Applies the settings of `options` and of its file, and returns the port. */
function prepareSettings(options: FunctionsHostOptions): { port: number; undo: () => void } {
  const undoOwn = applySettings({ ...options.settings }, true);
  if (options.settingsFile === undefined) return { port: options.port ?? DEFAULT_PORT, undo: undoOwn };
  const file = readLocalSettings(options.settingsFile);
  const undoFile = applySettings(file.values, false);
  return {
    port: options.port ?? file.localHttpPort ?? DEFAULT_PORT,
    undo() {
      undoFile();
      undoOwn();
    },
  };
}

async function startWithSettings(
  options: FunctionsHostOptions,
  port: number,
  undoSettings: () => void,
): Promise<FunctionsHost> {
  const appDir = resolve(options.appDir);
  const log = options.log ?? logToConsole;
  const verbose = options.verbose ?? false;
  const config = readHostConfig(appDir);
  const maxBodyBytes = readBodyLimit();
  const writeLog = createFunctionLog(config, verbose, log);
  const app = await loadApp(appDir, (level, category, message) => writeLog('Host', level, category, message));
  const functions = readFunctions(app, config, options, log);
  const served = functions.filter((fn) => fn.kind === 'http');
  const routes = createRouteTable(
    served.map((fn) => ({ template: fn.route, methods: fn.methods, target: fn })),
  );
  const invoke = createInvoker(app.registry, app.model, writeLog);
  const store = openTimerStatusStore(options.stateDir ?? join(appDir, '.local', 'host'));
  const { functionTimeoutMs } = config;
  let baseUrl = '';
  const run = (fn: HostedFunction, input: string): Promise<unknown> =>
    withTimeout(invoke(fn, createManualRequest(fn, input, store, http.port)), functionTimeoutMs);

  const admin = createAdminHandler({ functions, run, baseUrl: () => baseUrl, log });
  const http = await startHttpTrigger(
    { routes, admin, invoke, functionTimeoutMs, maxBodyBytes, verbose, log },
    port,
  );
  baseUrl = `http://127.0.0.1:${http.port}`;
  // Azure and Core Tools set this too. The app uses it where it needs its own address.
  const undoHostname = applySettings({ WEBSITE_HOSTNAME: `127.0.0.1:${http.port}` }, true);
  const triggers: RunningTrigger[] = [{ stop: () => http.stop(STOP_GRACE_MS) }];

  async function stopOnce(): Promise<void> {
    await stopAll(triggers, log);
    try {
      await runAppHooks(app.registry, 'appTerminate', appDir);
    } catch (error) {
      log({
        level: 'error',
        source: 'Host',
        message: `An appTerminate hook failed: ${describeError(error)}`,
      });
    }
    undoHostname();
    undoSettings();
  }

  try {
    // As in Azure, the app knows its host's name when it starts.
    await runAppHooks(app.registry, 'appStart', appDir);
    triggers.push(...startTriggers(functions, invoke, config, { store, verbose, log }));
  } catch (error) {
    await stopOnce();
    throw error;
  }
  let stopped: Promise<void> | undefined;
  return {
    port: http.port,
    functions: functions.map(toInfo),
    async invoke(name, input = '') {
      const fn = functions.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
      if (!fn) throw new Error(`There is no function "${name}".`);
      await run(fn, input);
    },
    stop: () => (stopped ??= stopOnce()),
  };
}

/**
 * Loads an Azure Functions app into this process and runs its HTTP, Service Bus and timer functions. The app gets the same
 * core API as from Azure's Node worker, so the same registrations, conversions and handlers run as in Azure.
 *
 * Rejects when host.json or a registration is invalid, when a connection is not set, or with the error that the app throws
 * while it loads. Then nothing is left running.
 */
export async function startFunctionsHost(options: FunctionsHostOptions): Promise<FunctionsHost> {
  const { port, undo } = prepareSettings(options);
  try {
    return await startWithSettings(options, port, undo);
  } catch (error) {
    undo();
    throw error;
  }
}
