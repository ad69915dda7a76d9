import { timingSafeEqual, createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { answerRequest, toAnswer } from './api/answer-request.ts';
import type { Api } from './api/answer-request.ts';
import type { ControlAnswer, ControlRoute } from './api/control-route.ts';
import { findByPath } from './api/find-by-path.ts';
import { parseForm } from './api/form.ts';
import { Holds } from './api/holds.ts';
import { IdempotencyKeys } from './api/idempotency.ts';
import type { Part } from './api/part.ts';
import { StandIn } from './api/stand-in.ts';
import { StripeError } from './api/stripe-error.ts';
import { chooseVersion } from './api/versions.ts';
import { controlRoutes } from './control/control-routes.ts';
import { parseBody, readBody } from './http-body.ts';
import { randomLetters } from './objects/kinds.ts';
import { showError } from './pages/error-page.ts';
import { PARTS } from './parts.ts';
import { Store } from './store/store.ts';
import type { WebhookSettings } from './webhooks/deliverer.ts';
import { webhookDelivery } from './webhooks/delivery-part.ts';

const HOST = '127.0.0.1'; // a stand-in is for its own machine

export interface StripeOptions {
  /** 0 for any free port. */
  readonly port: number;
  /** Where the state lives, made if missing. One stand-in at a time may use it. */
  readonly folder: string;
  /** `sk_test_…`; any other key is refused. */
  readonly secretKey: string;
  /** Milliseconds since 1970; the machine's clock unless said. */
  readonly now?: () => number;
  /** How events are delivered, and what goes wrong with it. */
  readonly webhooks?: WebhookSettings;
  /** More than `parts.ts` has, for tests. */
  readonly moreParts?: readonly Part[];
}

export interface StripeServer {
  /** `http://127.0.0.1:…`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** What runs, for those who work in the same process. */
  readonly standIn: StandIn;
  /** Ends all connections; what was answered is on disk. */
  close(): Promise<void>;
}

interface Site extends Api {
  readonly controls: readonly ControlRoute[];
  readonly secretKey: string;
}

function isSameKey(one: string, other: string): boolean {
  const [a, b] = [one, other].map((key) => createHash('sha256').update(key).digest());
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}

/** The key of `Authorization: Bearer`, or of Basic, where Stripe takes it as the user's name. */
function readKey(header: string | undefined): string | undefined {
  const [scheme = '', value = ''] = header?.split(' ') ?? [];
  if (scheme.toLowerCase() === 'bearer') return value;
  if (scheme.toLowerCase() === 'basic') return Buffer.from(value, 'base64').toString('utf8').split(':')[0];
  return undefined;
}

function checkKey(request: IncomingMessage, secretKey: string): void {
  const key = readKey(request.headers.authorization);
  if (key !== undefined && isSameKey(key, secretKey)) return;
  const message =
    key === undefined
      ? 'You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth.'
      : `Invalid API Key provided: ${key.slice(0, 8)}${'*'.repeat(8)}${key.slice(-4)}`;
  throw new StripeError(401, { type: 'invalid_request_error', message });
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function sendJson(response: ServerResponse, { status, body }: { status: number; body: string }): void {
  // Where the stand-in cannot do a thing, it cannot do it a second later.
  if (status === 501) response.setHeader('Stripe-Should-Retry', 'false');
  send(response, status, 'application/json', body);
}

async function serveApi(
  site: Site,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const id = `req_${randomLetters(14)}`;
  response.setHeader('Request-Id', id);
  checkKey(request, site.secretKey);
  const version = chooseVersion(headerOf(request, 'stripe-version'));
  response.setHeader('Stripe-Version', version);
  const idempotencyKey = headerOf(request, 'idempotency-key');
  if (idempotencyKey !== undefined) response.setHeader('Idempotency-Key', idempotencyKey);
  const query = parseForm(url.search.slice(1));
  const body = parseBody(await readBody(request), request.headers['content-type']);
  const { method = 'GET' } = request;
  const params = { ...query, ...body };
  const answer = await answerRequest(site, {
    id,
    method,
    path: url.pathname,
    params,
    idempotencyKey,
    version,
  });
  if (answer.isCut === true) {
    request.socket.destroy();
    return;
  }
  if (answer.replayedFrom !== undefined) {
    response.setHeader('Idempotent-Replayed', 'true');
    response.setHeader('Original-Request', answer.replayedFrom);
  }
  sendJson(response, answer);
}

function sendControl(response: ServerResponse, answer: ControlAnswer): void {
  if ('redirect' in answer) {
    response.writeHead(303, { Location: answer.redirect }).end();
    return;
  }
  const { status = 200 } = answer;
  if ('html' in answer) send(response, status, 'text/html; charset=utf-8', answer.html);
  else send(response, status, 'application/json', JSON.stringify(answer.json));
}

async function serveControl(
  site: Site,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const found = findByPath(site.controls, request.method ?? 'GET', url.pathname);
  if (found === undefined) throw unknownUrl(request, url);
  const { access, method, run } = found.found;
  if (access === 'secret') checkKey(request, site.secretKey);
  try {
    const answer = await run(site.standIn, {
      method,
      path: url.pathname,
      ids: found.ids,
      query: parseForm(url.search.slice(1)),
      body: parseBody(await readBody(request), request.headers['content-type']),
    });
    sendControl(response, answer);
  } catch (error) {
    if (access !== 'page' || !(error instanceof StripeError)) throw error;
    sendControl(response, showError(error)); // a person reads it
  }
}

function unknownUrl(request: IncomingMessage, url: URL): StripeError {
  return new StripeError(404, {
    type: 'invalid_request_error',
    message: `Unrecognized request URL (${request.method ?? 'GET'}: ${url.pathname}).`,
  });
}

async function serve(site: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', site.standIn.url);
  try {
    if (/^\/v[12]\//.test(url.pathname)) await serveApi(site, request, response, url);
    else if (url.pathname.startsWith('/_stand-in/')) await serveControl(site, request, response, url);
    else throw unknownUrl(request, url);
  } catch (error) {
    if (error instanceof StripeError) {
      sendJson(response, toAnswer(error));
      return;
    }
    if (request.destroyed && !request.complete) return; // the client has gone
    console.error('the Stripe stand-in failed:', error);
    const failure = { type: 'api_error', message: 'The stand-in failed; its log says why.' } as const;
    sendJson(response, toAnswer(new StripeError(500, failure)));
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : port);
    });
  });
}

/** Starts the stand-in on what its folder holds. */
export async function startStripe(options: StripeOptions): Promise<StripeServer> {
  const { folder, secretKey, now = Date.now } = options;
  const store = new Store(folder);
  let site: Site | undefined;
  const server = createServer((request, response) => {
    if (site === undefined) request.socket.destroy();
    else void serve(site, request, response);
  });
  const port = await listen(server, options.port);
  const standIn = new StandIn({ store, url: `http://${HOST}:${port}`, now });
  // Deliveries first: what another part emits as it starts has its receivers, too.
  const parts = [webhookDelivery(options.webhooks), ...PARTS, ...(options.moreParts ?? [])];
  const running = parts.flatMap((part) => part.start?.(standIn) ?? []);
  const holds = new Holds();
  site = {
    standIn,
    secretKey,
    holds,
    keys: new IdempotencyKeys(store, now),
    routes: parts.flatMap(({ routes = [] }) => routes),
    controls: [...controlRoutes(holds), ...parts.flatMap(({ controls = [] }) => controls)],
  };
  return {
    url: standIn.url,
    port,
    standIn,
    close: async () => {
      site = undefined;
      holds.releaseAll('cut');
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      for (const part of running) await part.close();
      store.close();
    },
  };
}
