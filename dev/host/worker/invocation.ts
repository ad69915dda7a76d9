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

/** An invocation took too long. It continues, because JavaScript cannot end it, but its result is ignored. */
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

/** Adds a read-only property to a hook's context, as Azure's worker does. */
function addReadOnly(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, {
    enumerable: true,
    get: () => value,
    set: () => {
      throw new TypeError(`Cannot assign to read only property '${name}'`);
    },
  });
}

/** Calls the app's hooks of one name in the order of their registration. When one throws, the others are not called. */
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

/** Writes a log line of a function. */
export type FunctionLog = (
  functionName: string,
  level: RpcLogLevel,
  category: RpcLogCategory,
  message: string,
) => void;

/** Runs one invocation and returns its response. Rejects with the error of the handler or a hook. */
export type Invoker = (fn: HostedFunction, request: RpcInvocationRequest) => Promise<RpcInvocationResponse>;

/**
 * Runs an invocation as Azure's worker does: arguments, `preInvocation` hooks, handler, `postInvocation` hooks, response. It
 * uses the library's own invocation model.
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
  // The thrown value, which a hook may have replaced, is passed on unchanged.
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  if (after['error'] !== null && after['error'] !== undefined) throw after['error'];
  return after['result'];
}

/** Settles like `work`, or rejects with {@link InvocationTimeout} after `limitMs`. */
export function withTimeout<T>(work: Promise<T>, limitMs: number): Promise<T> {
  if (!Number.isFinite(limitMs)) return work;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new InvocationTimeout(`The invocation did not end within ${limitMs} ms.`));
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
