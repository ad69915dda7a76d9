/**
 * The part of `@azure/functions-core` that the library `@azure/functions` 4.16 uses. The real module is part of Azure's
 * Node worker and is not published, so its types are declared here.
 */

/** Levels of a log line, as the worker's protocol names them. */
export type RpcLogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical' | 'none';

/** Who wrote a log line: the app (`user`) or the library (`system`). */
export type RpcLogCategory = 'user' | 'system' | 'customMetric';

/** A 64-bit integer as protobuf gives it to JavaScript. */
export interface RpcLong {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

/** One value that host and library exchange. Exactly one of the fields is set. */
export interface RpcTypedData {
  string?: string | null;
  json?: string | null;
  bytes?: Uint8Array | null;
  http?: RpcHttpData | null;
  int?: number | null;
  double?: number | null;
  collectionBytes?: { bytes: Uint8Array[] } | null;
  collectionString?: { string: string[] } | null;
  collectionSint64?: { sint64: RpcLong[] } | null;
}

/** A request (url, method, headers, query, params, body) or a response (statusCode, headers, cookies, body). */
export interface RpcHttpData {
  method?: string | null;
  url?: string | null;
  headers?: Record<string, string> | null;
  query?: Record<string, string> | null;
  params?: Record<string, string> | null;
  body?: RpcTypedData | null;
  statusCode?: string | null;
  cookies?: RpcHttpCookie[] | null;
}

/** A response cookie as the library converts it. */
export interface RpcHttpCookie {
  name?: string | null;
  value?: string | null;
  domain?: { value?: string | null } | null;
  path?: { value?: string | null } | null;
  expires?: { value?: { seconds?: number | null; nanos?: number | null } | null } | null;
  secure?: { value?: boolean | null } | null;
  httpOnly?: { value?: boolean | null } | null;
  sameSite?: 'none' | 'lax' | 'strict' | 'explicitNone' | null;
  maxAge?: { value?: number | null } | null;
}

/** A trigger or output of a function, with every option of its registration. */
export interface RpcBindingInfo {
  type?: string | null;
  direction?: string | null;
  [option: string]: unknown;
}

/** What the library passes to `registerFunction`. */
export interface FunctionMetadata {
  name: string;
  bindings: Record<string, RpcBindingInfo>;
  retryOptions?: unknown;
}

/** A named input or output value of an invocation. */
export interface RpcParameterBinding {
  name: string;
  data: RpcTypedData;
}

/** What the host sends to start an invocation. */
export interface RpcInvocationRequest {
  invocationId: string;
  inputData: RpcParameterBinding[];
  triggerMetadata?: Record<string, RpcTypedData>;
  traceContext?: { traceParent: string; traceState?: string };
}

/** The result of an invocation. */
export interface RpcInvocationResponse {
  invocationId?: string | null;
  returnValue?: RpcTypedData | null;
}

/** A function's handler, as the app registered it. */
export type FunctionCallback = (...inputsThenContext: unknown[]) => unknown;

/** What the library gets from the host about an invocation. */
export interface CoreInvocationContext {
  invocationId: string;
  request: RpcInvocationRequest;
  metadata: FunctionMetadata;
  state?: 'preInvocationHooks' | 'postInvocationHooks' | 'invocation' | undefined;
  log(level: RpcLogLevel, category: RpcLogCategory, message: string): void;
}

/** The library's part of one invocation: arguments, call, response. */
export interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<RpcInvocationResponse>;
}

/** What `@azure/functions` passes to `setProgrammingModel`. */
export interface ProgrammingModel {
  name: string;
  version: string;
  getInvocationModel(context: CoreInvocationContext): InvocationModel;
  getCapabilities?(capabilities: Record<string, string>): Promise<Record<string, string>>;
}

/** An app's function that a hook calls with its context. */
export type HookCallback = (context: Record<string, unknown>) => unknown;

/** Undoes a registration. */
export interface Disposable {
  dispose(): void;
}

/** What `require('@azure/functions-core')` returns. */
export interface CoreApi {
  readonly version: string;
  readonly hostVersion: string;
  registerFunction(metadata: FunctionMetadata, callback: FunctionCallback): Disposable;
  registerHook(hookName: string, callback: HookCallback): Disposable;
  setProgrammingModel(model: ProgrammingModel): void;
  getProgrammingModel(): ProgrammingModel | undefined;
  log(level: RpcLogLevel, category: RpcLogCategory, message: string): void;
  readonly Disposable: new (callOnDispose: () => void) => Disposable;
}
