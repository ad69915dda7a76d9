import Module from 'node:module';
import type {
  CoreApi,
  Disposable,
  FunctionCallback,
  FunctionMetadata,
  HookCallback,
  ProgrammingModel,
  RpcLogCategory,
  RpcLogLevel,
} from '../core-types.ts';

const CORE_MODULE = '@azure/functions-core';

const HOOK_NAMES = ['appStart', 'appTerminate', 'preInvocation', 'postInvocation', 'log'] as const;

/** The hooks that an app can register. */
export type HookName = (typeof HOOK_NAMES)[number];

/** A function as the app registered it. */
export interface RegisteredFunction {
  readonly metadata: FunctionMetadata;
  readonly callback: FunctionCallback;
}

/** What one app registered with the core API: its functions, its hooks, the library's programming model. */
export interface AppRegistry {
  readonly functions: Map<string, RegisteredFunction>;
  readonly hooks: Record<HookName, HookCallback[]>;
  /** Shared by all hooks of the app. */
  readonly appHookData: Record<string, unknown>;
  /** Shared only by the `appStart` and `appTerminate` hooks. */
  readonly appLevelHookData: Record<string, unknown>;
  model: ProgrammingModel | undefined;
  /** Functions can be registered only while the app loads. */
  loaded: boolean;
  readonly log: (level: RpcLogLevel, category: RpcLogCategory, message: string) => void;
}

class CoreDisposable implements Disposable {
  readonly #callOnDispose: () => void;
  constructor(callOnDispose: () => void) {
    this.#callOnDispose = callOnDispose;
  }
  dispose(): void {
    this.#callOnDispose();
  }
}

let active: AppRegistry | undefined;
let lastModel: ProgrammingModel | undefined;
let interceptInstalled = false;

function requireActive(): AppRegistry {
  if (!active) throw new Error(`${CORE_MODULE} was used before a functions host began to load an app.`);
  return active;
}

function isHookName(name: string): name is HookName {
  return (HOOK_NAMES as readonly string[]).includes(name);
}

function registerFunction(metadata: FunctionMetadata, callback: FunctionCallback): Disposable {
  const registry = requireActive();
  const { name } = metadata;
  if (registry.loaded) {
    throw new Error(
      `Function "${name}" was registered after the app had started: it can only be done while it loads.`,
    );
  }
  if (typeof callback !== 'function') throw new Error(`Function "${name}" has no handler.`);
  const known = [...registry.functions.keys()].find((other) => other.toLowerCase() === name.toLowerCase());
  if (known !== undefined) throw new Error(`Two functions are named "${name}". Names ignore case.`);
  registry.functions.set(name, { metadata, callback });
  return new CoreDisposable(() => {
    if (registry.loaded) throw new Error('A function can only be disposed of while the app loads.');
    registry.functions.delete(name);
  });
}

function registerHook(hookName: string, callback: HookCallback): Disposable {
  if (!isHookName(hookName)) throw new RangeError(`Unrecognized hook "${hookName}".`);
  const callbacks = requireActive().hooks[hookName];
  callbacks.push(callback);
  return new CoreDisposable(() => {
    const index = callbacks.indexOf(callback);
    if (index >= 0) callbacks.splice(index, 1);
  });
}

const coreApi: CoreApi = {
  version: '3.0.0-local',
  hostVersion: '4.0.0-local',
  registerFunction,
  registerHook,
  setProgrammingModel(model) {
    lastModel = model;
    requireActive().model = model;
  },
  getProgrammingModel: () => active?.model ?? lastModel,
  log(level, category, message) {
    active?.log(level, category, message);
  },
  Disposable: CoreDisposable,
};

/**
 * Makes `require('@azure/functions-core')` return the core API everywhere in this process. Azure's worker replaces `require`
 * in the same way. So CommonJS, or an ESM bundle with a `createRequire` banner, works both here and there.
 */
function installIntercept(): void {
  if (interceptInstalled) return;
  interceptInstalled = true;
  // eslint-disable-next-line @typescript-eslint/unbound-method -- the proxy passes `this` on
  Module.prototype.require = new Proxy(Module.prototype.require, {
    apply(target, thisArg, args: [id: string]): unknown {
      return args[0] === CORE_MODULE ? coreApi : Reflect.apply(target, thisArg, args);
    },
  });
}

/**
 * An empty registry that receives everything an app registers from now on. As in Azure, a process has one core API: a later
 * registry replaces this one, so apps must be loaded one after the other.
 */
export function activateRegistry(log: AppRegistry['log']): AppRegistry {
  installIntercept();
  active = {
    functions: new Map(),
    hooks: { appStart: [], appTerminate: [], preInvocation: [], postInvocation: [], log: [] },
    appHookData: {},
    appLevelHookData: {},
    model: undefined,
    loaded: false,
    log,
  };
  return active;
}

/**
 * Ends the loading of an app. If a copy of the library outside the bundle already served an earlier app of this process, it
 * does not set its model again. Then that earlier model is used.
 *
 * @throws when the app registered nothing through `@azure/functions`.
 */
export function closeRegistry(registry: AppRegistry): ProgrammingModel {
  registry.loaded = true;
  registry.model ??= lastModel;
  if (!registry.model || registry.functions.size === 0) {
    throw new Error('The app loaded but registered no functions through @azure/functions.');
  }
  return registry.model;
}
