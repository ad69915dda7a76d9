import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterAll } from 'vitest';

/** How the proxy answers: it passes requests on, breaks their connection, or answers with a status itself. */
export type ProxyMode = 'pass' | 'refuse' | 400 | 429 | 500;

/** A stand-in for the way to Stripe, which a test can break. */
export interface StripeProxy {
  readonly url: string;
  /** Where requests are passed on to. */
  target: string;
  mode: ProxyMode;
  /** Requests whose path contains it are answered with 500. */
  broken: string | undefined;
  /** `GET /v1/subscriptions/sub_…`, without queries, in the order in which they came. */
  readonly requests: string[];
}

/** Starts one for a test file. */
export async function startStripeProxy(): Promise<StripeProxy> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${(request.url ?? '').replace(/\?.*$/, '')}`);
    if (proxy.broken !== undefined && request.url?.includes(proxy.broken) === true) refuse(500, response);
    else if (proxy.mode === 'pass') pass(proxy.target, request, response);
    else if (proxy.mode === 'refuse') request.socket.destroy();
    else refuse(proxy.mode, response);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const url = `http://127.0.0.1:${port}`;
  const proxy: StripeProxy = { url, target: '', mode: 'pass', broken: undefined, requests };
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  return proxy;
}

function pass(target: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, headers } = request;
  const passed = httpRequest(
    new URL(request.url ?? '/', target),
    { ...(method === undefined ? {} : { method }), headers },
    (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  passed.on('error', () => response.destroy());
  request.pipe(passed);
}

/** An answer as Stripe gives it. */
function refuse(status: 400 | 429 | 500, response: ServerResponse): void {
  const type = status === 500 ? 'api_error' : 'invalid_request_error';
  const code = status === 400 ? 'parameter_invalid_empty' : status === 429 ? 'rate_limit' : undefined;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { type, code, message: 'The proxy of the tests says so.' } }));
}
