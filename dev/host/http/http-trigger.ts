import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { RpcHttpData, RpcInvocationRequest } from '../core-types.ts';
import { describeError, type HostLog } from '../host-log.ts';
import type { HttpFunction } from '../worker/hosted-function.ts';
import { joinHeaders, parseQuery, sendRpcHttp } from './http-message.ts';
import { BodyTooLarge, hasBody, readBody, refuse } from './request-body.ts';
import { InvocationTimeout, withTimeout, type Invoker } from '../worker/invocation.ts';
import type { RouteTable } from './route-table.ts';

/** Azure's load balancer waits no longer for a response, even if `functionTimeout` is longer. */
const HTTP_RESPONSE_LIMIT_MS = 230_000;

/** Kestrel's value. A shorter one would close kept connections between two requests of a client. */
const KEEP_ALIVE_MS = 130_000;

/** Kestrel's limit for all headers together. */
const MAX_HEADER_BYTES = 32_768;

/** How many ports are tried, from the requested one upwards. */
const PORT_ATTEMPTS = 100;

/** Answers requests under `/admin/`. Resolves to false when the address does not exist. */
export type AdminHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
) => Promise<boolean>;

/** What the HTTP server needs of the host. */
export interface HttpTriggerOptions {
  readonly routes: RouteTable<HttpFunction>;
  readonly admin: AdminHandler;
  readonly invoke: Invoker;
  readonly functionTimeoutMs: number;
  /** A longer request body gets 413, and the rest of it is not read. */
  readonly maxBodyBytes: number;
  readonly verbose: boolean;
  readonly log: HostLog;
}

/** A running HTTP server. */
export interface HttpTrigger {
  readonly port: number;
  /** Accepts no new connections. Resolves after the last answer, or closes the remaining connections after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})/;

/** Continues the request's trace with a span of the host, or begins a new trace. Azure's host does the same. */
function createTraceContext(
  headers: Record<string, string>,
  invocationId: string,
): RpcInvocationRequest['traceContext'] {
  const bare = invocationId.replaceAll('-', '');
  const [, trace = bare, flags = '00'] = TRACEPARENT.exec(headers['traceparent'] ?? '') ?? [];
  // A span id must not be all zero. The last 16 digits of a version 4 UUID never are, because of its variant bits.
  const traceParent = `00-${trace}-${bare.slice(16)}-${flags}`;
  const traceState = headers['tracestate'];
  return traceState === undefined ? { traceParent } : { traceParent, traceState };
}

interface Target {
  readonly path: string;
  readonly queryText: string;
}

/** Splits a request target. Of an absolute URL (as sent to a proxy), only path and query are used. */
function splitTarget(url: string): Target | undefined {
  let target = url;
  if (!target.startsWith('/')) {
    if (!URL.canParse(target)) return undefined;
    const absolute = new URL(target);
    target = absolute.pathname + absolute.search;
  }
  const mark = target.indexOf('?');
  return mark < 0
    ? { path: target, queryText: '' }
    : { path: target.slice(0, mark), queryText: target.slice(mark + 1) };
}

function isAdminPath(path: string): boolean {
  return path.startsWith('/admin/') || path === '/admin';
}

/** Runs the function and sends its response. When it throws, the response is 500 without a body; the log has the reason. */
async function answer(
  options: HttpTriggerOptions,
  fn: HttpFunction,
  http: RpcHttpData,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const invocationId = randomUUID();
  const started = performance.now();
  const traceContext = createTraceContext(http.headers ?? {}, invocationId);
  const request: RpcInvocationRequest = {
    invocationId,
    inputData: [{ name: fn.bindingName, data: { http } }],
  };
  if (traceContext) request.traceContext = traceContext;
  try {
    const limitMs = Math.min(options.functionTimeoutMs, HTTP_RESPONSE_LIMIT_MS);
    const result = await withTimeout(options.invoke(fn, request), limitMs);
    if (!response.destroyed) sendRpcHttp(response, result.returnValue?.http);
  } catch (error) {
    options.log({
      level: 'error',
      source: fn.name,
      message: `Failed (${invocationId}): ${describeError(error)}`,
    });
    const outOfTime =
      error instanceof InvocationTimeout && options.functionTimeoutMs > HTTP_RESPONSE_LIMIT_MS;
    if (!response.headersSent && !response.destroyed) refuse(incoming, response, outOfTime ? 504 : 500);
  }
  if (options.verbose) {
    const took = Math.round(performance.now() - started);
    const message = `${http.method ?? ''} -> ${response.statusCode} (${took} ms, ${invocationId})`;
    options.log({ level: 'information', source: fn.name, message });
  }
}

function createListener(
  options: HttpTriggerOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { routes, admin, log } = options;
  let warnedOfChunks = false;
  return async (request, response) => {
    const method = request.method ?? 'GET';
    const target = splitTarget(request.url ?? '/');
    if (!target) {
      refuse(request, response, 400);
      return;
    }
    if (isAdminPath(target.path)) {
      if (!(await admin(request, response, target.path))) refuse(request, response, 404);
      return;
    }
    const match = routes(method, target.path);
    // As in Azure, a disabled function keeps its route: no more general route answers instead.
    if (!match || match.target.disabled) {
      refuse(request, response, 404);
      return;
    }
    const headers = joinHeaders(request.rawHeaders);
    const host = headers['host'] ?? '127.0.0.1';
    const search = target.queryText === '' ? '' : `?${target.queryText}`;
    const url = `http://${host}${target.path}${search}`;
    // The library would fail on an invalid Host. Azure's front end refuses such requests too.
    if (!URL.canParse(url)) {
      refuse(request, response, 400);
      return;
    }
    const http: RpcHttpData = {
      url,
      method,
      headers,
      query: parseQuery(target.queryText),
      params: match.params,
    };
    if (hasBody(request)) {
      if (!warnedOfChunks && request.headers['content-length'] === undefined) {
        warnedOfChunks = true;
        const message =
          'A request came in chunks, without content-length: Azure passes such a body on only with HTTP streaming.';
        log({ level: 'warning', source: 'Host', message });
      }
      http.body = { bytes: await readBody(request, response, options.maxBodyBytes) };
    }
    await answer(options, match.target, http, request, response);
  };
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function listenOnce(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Listens on `wanted`, or on the next free port; 0 means any free port. */
async function listen(server: Server, wanted: number): Promise<number> {
  for (let port = wanted; ; port++) {
    try {
      await listenOnce(server, port);
      return (server.address() as AddressInfo).port;
    } catch (error) {
      if (!isAddressInUse(error) || wanted === 0 || port >= Math.min(wanted + PORT_ATTEMPTS, 65_535))
        throw error;
    }
  }
}

/** Serves the app's HTTP functions on 127.0.0.1, on `port` or the next free one; 0 means any free port. */
export async function startHttpTrigger(options: HttpTriggerOptions, port: number): Promise<HttpTrigger> {
  const handle = createListener(options);
  let inFlight = 0;
  let stopping = false;
  let onIdle: (() => void) | undefined;
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    inFlight++;
    if (stopping) response.shouldKeepAlive = false;
    response.on('close', () => {
      inFlight--;
      if (stopping && inFlight === 0) onIdle?.();
    });
    handle(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) return;
      if (error instanceof BodyTooLarge) refuse(request, response, 413);
      else {
        options.log({ level: 'error', source: 'Host', message: describeError(error) });
        refuse(request, response, 500);
      }
    });
  };
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, maxHeaderSize: MAX_HEADER_BYTES }, serve);
  // Without this, Node answers `Expect: 100-continue` itself, before the body's length is checked.
  server.on('checkContinue', serve);
  const actualPort = await listen(server, port);
  return {
    port: actualPort,
    async stop(graceMs) {
      stopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      if (inFlight > 0) {
        const timer = setTimeout(() => onIdle?.(), graceMs);
        await new Promise<void>((resolve) => (onIdle = resolve));
        clearTimeout(timer);
      }
      server.closeAllConnections();
      await closed;
    },
  };
}
