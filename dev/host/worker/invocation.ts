import type { AppRegistry, HookName } from './core-module.ts';
import type {
  CoreInvocationContext,
  FunctionCallback,
  FunctionMetadata,
  ProgrammingModel,
  RpcInvocationRequest,
  RpcInvocationResponse,
  RpcLogCategory,
  RpcLogLevel,
} from '../core-types.ts';
import type { HostedFunction } from './hosted-function.ts';

/** An invocation took longer than it may. It goes on running, as nothing can end it, but its result is not waited for. */
export class InvocationTimeout extends Error {
  override readonly name = 'InvocationTimeout';
}

type ContextLog = (level: RpcLogLevel, category: RpcLogCategory, message: string) => void;

class InvocationCoreContext implements CoreInvocationContext {
  readonly invocationId: string;
  readonly request: RpcInvocationRequest;
  readonly metadata: FunctionMetadata;
  readonly log: ContextLog;
  state: CoreInvocationContext['state'] = undefined;
  constructor(request: RpcInvocationRequest, metadata: FunctionMetadata, log: ContextLog) {
    this.invocationId = request.invocationId;
    this.request = request;
    this.metadata = metadata;
    this.log = log;
  }
}

/** Makes a property of a hook's context readable but not replaceable, as the worker does. */
function addReadOnly(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, {
    enumerable: true,
    get: () => value,
    set: () => {
      throw new TypeError(`Cannot assign to read only property '${name}'`);
    },
  });
}

/** Calls the app's hooks of one name in the order of their registration. A hook that throws ends the row. */
export async function runAppHooks(
  registry: AppRegistry,
  name: 'appStart' | 'appTerminate',
  appDir: string,
): Promise<void> {
  const context: Record<string, unknown> = name === 'appStart' ? { functionAppDirectory: appDir } : {};
  addReadOnly(context, 'hookData', registry.appLevelHookData);
  addReadOnly(context, 'appHookData', registry.appHookData);
  await runHooks(registry, name, context);
}

async function runHooks(
  registry: AppRegistry,
  name: HookName,
  context: Record<string, unknown>,
): Promise<void> {
  for (const callback of registry.hooks[name]) await callback(context);
}

/** What writes the app's own log lines of one function. */
export type FunctionLog = (
  functionName: string,
  level: RpcLogLevel,
  category: RpcLogCategory,
  message: string,
) => void;

/** Runs one invocation to its response; rejects with what the handler or a hook threw. */
export type Invoker = (fn: HostedFunction, request: RpcInvocationRequest) => Promise<RpcInvocationResponse>;

/**
 * The worker's side of an invocation: arguments, `preInvocation` hooks, handler, `postInvocation` hooks, response, all
 * by the library's own invocation model.
 */
export function createInvoker(registry: AppRegistry, model: ProgrammingModel, log: FunctionLog): Invoker {
  const { hooks } = registry;
  return async (fn, request) => {
    const { metadata, callback } = fn.registered;
    const scope: { invocationContext?: unknown } = {};
    const core = new InvocationCoreContext(request, metadata, (level, category, message) => {
      const line = { level, message };
      if (hooks.log.length > 0) runLogHooks(registry, line, category, scope.invocationContext);
      log(fn.name, line.level, category, line.message);
    });
    const invocation = model.getInvocationModel(core);
    const { context, inputs } = await invocation.getArguments();
    scope.invocationContext = context;
    if (hooks.preInvocation.length === 0 && hooks.postInvocation.length === 0) {
      core.state = 'invocation';
      const result = await invocation.invokeFunction(context, inputs, callback);
      core.state = undefined;
      return invocation.getResponse(context, result);
    }
    const call = (args: unknown[], handler: FunctionCallback): Promise<unknown> =>
      invocation.invokeFunction(context, args, handler);
    const result = await runWithHooks(registry, core, context, inputs, callback, call);
    return invocation.getResponse(context, result);
  };
}

function runLogHooks(
  registry: AppRegistry,
  line: { level: RpcLogLevel; message: string },
  category: RpcLogCategory,
  invocationContext: unknown,
): void {
  const context = Object.assign(line, { category, invocationContext });
  addReadOnly(context, 'hookData', {});
  addReadOnly(context, 'appHookData', registry.appHookData);
  for (const callback of registry.hooks.log) callback(context);
}

async function runWithHooks(
  registry: AppRegistry,
  core: InvocationCoreContext,
  invocationContext: unknown,
  inputs: unknown[],
  callback: FunctionCallback,
  call: (inputs: unknown[], callback: FunctionCallback) => Promise<unknown>,
): Promise<unknown> {
  const hookData = {};
  const scope = (own: Record<string, unknown>): Record<string, unknown> => {
    addReadOnly(own, 'hookData', hookData);
    addReadOnly(own, 'appHookData', registry.appHookData);
    addReadOnly(own, 'invocationContext', invocationContext);
    return own;
  };
  const before = scope({ inputs, functionCallback: callback });
  core.state = 'preInvocationHooks';
  await runHooks(registry, 'preInvocation', before);
  const finalInputs = before['inputs'] as unknown[];
  const after = scope({ inputs: finalInputs, result: null, error: null });
  core.state = 'invocation';
  try {
    after['result'] = await call(finalInputs, before['functionCallback'] as FunctionCallback);
  } catch (error) {
    after['error'] = error;
  }
  core.state = 'postInvocationHooks';
  await runHooks(registry, 'postInvocation', after);
  core.state = undefined;
  // Whatever was thrown, or put in its place by a hook, goes on as it is.
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  if (after['error'] !== null && after['error'] !== undefined) throw after['error'];
  return after['result'];
}

/** Settles as `work` does, or rejects with {@link InvocationTimeout} after `limitMs`. */
export function withTimeout<T>(work: Promise<T>, limitMs: number): Promise<T> {
  if (!Number.isFinite(limitMs)) return work;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new InvocationTimeout(`The invocation was not over after ${limitMs} ms.`));
    }, limitMs);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error(String(error), { cause: error }));
      },
    );
  });
}
