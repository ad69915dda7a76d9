import { z } from 'zod';
import type { RegisteredFunction } from './core-module.ts';
import type { RpcBindingInfo } from '../core-types.ts';
import type { HostConfig } from '../host-config.ts';
import { isDisabledBySetting, resolveSettings } from '../settings.ts';

interface FunctionBase {
  readonly name: string;
  readonly registered: RegisteredFunction;
  /** The trigger's type as Azure names it, such as `serviceBusTrigger`. */
  readonly type: string;
  /** The name under which the library expects the trigger's value. */
  readonly bindingName: string;
  /** A disabled function gets no requests, messages or timer runs, but can be run by hand. */
  readonly disabled: boolean;
}

/** A function called by HTTP. `route` includes the prefix and has no leading slash. */
export interface HttpFunction extends FunctionBase {
  readonly kind: 'http';
  readonly route: string;
  readonly methods: readonly string[];
}

/** A function called with messages of a queue or of a topic's subscription. */
export interface ServiceBusFunction extends FunctionBase {
  readonly kind: 'serviceBus';
  /** The app setting that holds the connection string. */
  readonly connection: string;
  readonly entity: { readonly queue: string } | { readonly topic: string; readonly subscription: string };
  readonly batch: boolean;
  /** Bodies are passed as bytes instead of text. */
  readonly binary: boolean;
  readonly autoComplete: boolean;
}

/** A function called by a timer. */
export interface TimerFunction extends FunctionBase {
  readonly kind: 'timer';
  readonly schedule: string;
  readonly runOnStartup: boolean;
  readonly useMonitor: boolean;
}

/** A function whose trigger this host does not have: it can only be run by hand. */
export interface OtherFunction extends FunctionBase {
  readonly kind: 'other';
}

/** A function of the app, as the host runs it. */
export type HostedFunction = HttpFunction | ServiceBusFunction | TimerFunction | OtherFunction;

/** The kinds of triggers that can be disabled. */
export type TriggerKind = 'http' | 'serviceBus' | 'timer';

const HttpTrigger = z.looseObject({ route: z.string().optional(), methods: z.array(z.string()).min(1) });
const ServiceBusTrigger = z.looseObject({
  connection: z.string(),
  queueName: z.string().optional(),
  topicName: z.string().optional(),
  subscriptionName: z.string().optional(),
  cardinality: z.enum(['one', 'many']).optional(),
  dataType: z.string().optional(),
  isSessionsEnabled: z.boolean().optional(),
  sdkBinding: z.unknown().optional(),
  autoCompleteMessages: z.boolean().optional(),
});
const TimerTrigger = z.looseObject({
  schedule: z.string(),
  runOnStartup: z.boolean().default(false),
  useMonitor: z.boolean().default(true),
});

/** Azure reserves these for its host: it refuses routes that begin so, with any prefix. */
const RESERVED_ROUTE = /^(?:admin|runtime)/i;

const FUNCTION_NAME = /^[a-z][a-z0-9_-]{0,127}$/i;

function toHttpFunction(base: FunctionBase, binding: RpcBindingInfo, routePrefix: string): HttpFunction {
  const options = HttpTrigger.parse(binding);
  const own = resolveSettings(options.route ?? '', `Function "${base.name}"`).trim() || base.name;
  const route = own.replace(/^\/+|\/+$/g, '');
  if (RESERVED_ROUTE.test(route)) {
    throw new Error(
      `Function "${base.name}": its route "${route}" begins with "admin" or "runtime". Azure keeps those for itself.`,
    );
  }
  return {
    ...base,
    kind: 'http',
    route: [routePrefix, route].filter((part) => part !== '').join('/'),
    methods: [...new Set(options.methods.map((method) => method.toUpperCase()))],
  };
}

function toServiceBusFunction(
  base: FunctionBase,
  binding: RpcBindingInfo,
  config: HostConfig,
): ServiceBusFunction {
  const options = ServiceBusTrigger.parse(binding);
  const what = `Function "${base.name}"`;
  if (options.isSessionsEnabled)
    throw new Error(`${what}: the local functions host does not support sessions.`);
  if (options.sdkBinding) throw new Error(`${what}: the local functions host does not support sdkBinding.`);
  const { queueName, topicName, subscriptionName } = options;
  if (queueName === undefined && (topicName === undefined || subscriptionName === undefined)) {
    throw new Error(`${what}: it names neither a queue nor a topic with a subscription.`);
  }
  return {
    ...base,
    kind: 'serviceBus',
    connection: options.connection,
    entity:
      queueName !== undefined
        ? { queue: resolveSettings(queueName, what) }
        : {
            topic: resolveSettings(topicName ?? '', what),
            subscription: resolveSettings(subscriptionName ?? '', what),
          },
    batch: options.cardinality === 'many',
    binary: options.dataType === 'binary',
    autoComplete: options.autoCompleteMessages ?? config.serviceBus.autoCompleteMessages,
  };
}

function toTimerFunction(base: FunctionBase, binding: RpcBindingInfo): TimerFunction {
  const { schedule, runOnStartup, useMonitor } = TimerTrigger.parse(binding);
  const resolved = resolveSettings(schedule, `Function "${base.name}"`);
  return { ...base, kind: 'timer', schedule: resolved, runOnStartup, useMonitor };
}

/** The trigger of a registration. Throws when there are other inputs or outputs: this host cannot fetch or deliver them. */
function findTrigger(name: string, bindings: Record<string, RpcBindingInfo>): [string, RpcBindingInfo] {
  let trigger: [string, RpcBindingInfo] | undefined;
  for (const [bindingName, binding] of Object.entries(bindings)) {
    const type = (binding.type ?? '').toLowerCase();
    if (type.endsWith('trigger')) trigger = [bindingName, binding];
    else if (!(bindingName === '$return' && type === 'http')) {
      throw new Error(
        `Function "${name}": its binding "${bindingName}" (${type}) is not supported by the local functions host.`,
      );
    }
  }
  if (!trigger) throw new Error(`Function "${name}" has no trigger.`);
  return trigger;
}

/**
 * Reads a registration as Azure's host does.
 *
 * @throws when Azure would refuse it (name, route, unresolved `%SETTING%`), or when the local host does not support it.
 */
export function readFunction(
  registered: RegisteredFunction,
  config: HostConfig,
  isDisabled: (name: string, kind: HostedFunction['kind']) => boolean,
): HostedFunction {
  const { name, bindings } = registered.metadata;
  if (!FUNCTION_NAME.test(name)) {
    throw new Error(
      `Function "${name}": a name begins with a letter and has only letters, digits, "_" and "-".`,
    );
  }
  const [bindingName, binding] = findTrigger(name, bindings);
  const type = binding.type ?? '';
  const disabledAs = (kind: HostedFunction['kind']): boolean =>
    isDisabledBySetting(name) || isDisabled(name, kind);
  const base = { name, registered, bindingName, type };
  switch (type.toLowerCase()) {
    case 'httptrigger':
      return toHttpFunction({ ...base, disabled: disabledAs('http') }, binding, config.routePrefix);
    case 'servicebustrigger':
      return toServiceBusFunction({ ...base, disabled: disabledAs('serviceBus') }, binding, config);
    case 'timertrigger':
      return toTimerFunction({ ...base, disabled: disabledAs('timer') }, binding);
    default:
      return { ...base, kind: 'other', disabled: disabledAs('other') };
  }
}
