import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { Problem } from '../call/problem.ts';
import { randomHex } from '../ids/random-pool.ts';
import { count, observe } from '../telemetry/metrics.ts';
import { inSpan, readTraceparent, traceparentOf } from '../telemetry/tracing.ts';

/** The parts of a route that its metrics and its span name. */
export interface ObservedRoute {
  readonly name: string;
  readonly method: string;
  /** The template, never the path of a request. */
  readonly path: string;
  readonly tag: string;
}

/** One request that is being answered. */
export interface ObservedRequest {
  /** The id of its trace: its client's, its host's, or a new one. */
  readonly traceId: string;
  /** The headers of every answer to it. More may be added. */
  readonly headers: Record<string, string>;
  /** Notes why the request is refused. */
  refused(problem: Problem): void;
}

/** The tag of the routes that the metrics `mapper_…` count. */
const MAPPER_TAG = 'mappings';
/** The code of a request that is not refused. */
const NO_PROBLEM = 'none';

/** What began the request's trace. The host's span counts only if it is exported: else our ratio decides. */
function parentOf(request: HttpRequest, hostTrace: string | undefined) {
  const given = readTraceparent(request.headers.get('traceparent'));
  const host = readTraceparent(hostTrace);
  const isHosts =
    host !== undefined && host.traceFlags !== 0 && (given?.traceId ?? host.traceId) === host.traceId;
  return isHosts ? host : given;
}

/**
 * Answers a request in a span, and counts it. The answer gets the trace's headers. Without an exporter the trace has only its id.
 * `hostTrace`: the `traceparent` of the host's own span of this invocation.
 * @throws what `run` throws.
 */
export function observeRequest(
  route: ObservedRoute,
  request: HttpRequest,
  hostTrace: string | undefined,
  run: (seen: ObservedRequest) => Promise<HttpResponseInit>,
): Promise<HttpResponseInit> {
  const start = performance.now();
  const parent = parentOf(request, hostTrace);
  const options = {
    kind: 'server' as const,
    attributes: {
      'http.request.method': route.method,
      'http.route': `/${route.path}`,
      'faas.name': route.name,
    },
    ...(parent === undefined ? { isRoot: true } : { parent }),
  };
  return inSpan(`${route.method} /${route.path}`, options, async (span) => {
    const own = span.context;
    const traceId = own?.traceId ?? parent?.traceId ?? randomHex(16);
    let code = NO_PROBLEM;
    const answer = await run({
      traceId,
      headers: {
        traceparent:
          own === undefined
            ? traceparentOf({ traceId, spanId: randomHex(8), traceFlags: parent?.traceFlags ?? 1 })
            : traceparentOf(own),
        'x-ms-request-id': traceId,
        ...clientRequestId(request),
      },
      refused: (problem) => {
        code = problem.code;
      },
    });
    const status = answer.status ?? 200;
    span.set('http.response.status_code', status);
    if (code !== NO_PROBLEM) span.set('error.type', code);
    if (status >= 500) span.fail();
    countRequest(route, `${Math.floor(status / 100)}xx`, code, performance.now() - start);
    return answer;
  });
}

function clientRequestId(request: HttpRequest): Record<string, string> {
  const given = request.headers.get('x-ms-client-request-id');
  return given !== null && /^[\x21-\x7e]{1,128}$/.test(given) ? { 'x-ms-client-request-id': given } : {};
}

/** The limit of the alert HighLatency. */
const SLOW_MS = 2_000;

function countRequest({ name, tag }: ObservedRoute, statusClass: string, code: string, ms: number): void {
  const of = { route: name, status_class: statusClass };
  count('http_server_requests_total', { ...of, code });
  observe('http_server_request_duration_ms', of, ms);
  count('http_server_requests_by_speed_total', { speed: ms > SLOW_MS ? 'slow' : 'fast' });
  if (tag !== MAPPER_TAG) return;
  count('mapper_requests_total', of);
  observe('mapper_request_duration_ms', of, ms);
}
