import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { answerVault, refusal, type Answer, type Asked } from './answers.ts';
import { Secrets } from './secrets.ts';
import { Tokens } from './tokens.ts';

/** What a stand-in is made of. */
export interface VaultOptions {
  /** For the names below, signed by an authority that the client believes. */
  readonly certificate: string;
  readonly key: string;
  /** The vault's name, `keys.vault.remote.test`. The part after its first label is the resource that tokens are for. */
  readonly host: string;
  /** Entra's name. */
  readonly loginHost: string;
  readonly now?: () => Date;
}

/** What happens to requests instead of their answer. */
export interface VaultFault {
  /** Which requests: the beginning of the path. Default: all of the vault. */
  readonly path?: string;
  /** How many. Default: all until `faults` is emptied. */
  times?: number;
  /** The answer. `hang`: none. `drop`: the connection ends. */
  readonly answer: Answer | 'hang' | 'drop';
}

/** One request that the vault got. */
export interface VaultRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number | null;
}

/** A running stand-in of Azure Key Vault and of what gives tokens for it. */
export interface VaultStandIn {
  readonly url: string;
  /** Entra's address, for a credential's `authorityHost`. */
  readonly authorityHost: string;
  /** An application that may read, for a credential of client id and secret. */
  readonly client: { readonly tenantId: string; readonly clientId: string; readonly secret: string };
  /** The environment of a Function App with a managed identity. */
  readonly identity: { readonly IDENTITY_ENDPOINT: string; readonly IDENTITY_HEADER: string };
  readonly secrets: Secrets;
  readonly tokens: Tokens;
  readonly faults: VaultFault[];
  readonly requests: VaultRequest[];
  /** The answer of a vault that is asked too often. */
  throttled(retryAfterSeconds: number): Answer;
  close(): Promise<void>;
}

const TENANT = '11111111-2222-4333-8444-555555555555';

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

interface Parts {
  readonly options: VaultOptions;
  readonly secrets: Secrets;
  readonly tokens: Tokens;
  readonly faults: VaultFault[];
  readonly requests: VaultRequest[];
  readonly client: VaultStandIn['client'];
}

/** Without a token a vault answers which one it wants. */
function challenge({ options }: Parts, resource: string, port: number): Answer {
  const authority = `https://${options.loginHost}:${port}/${TENANT}`;
  return {
    ...refusal(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.'),
    headers: { 'www-authenticate': `Bearer authorization="${authority}", resource="${resource}"` },
  };
}

function takeFault(faults: readonly VaultFault[], path: string): VaultFault | undefined {
  const fault = faults.find((one) => (one.times ?? 1) > 0 && path.startsWith(one.path ?? '/'));
  if (fault?.times !== undefined) fault.times -= 1;
  return fault;
}

async function serveVault(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { host } = request.headers;
  const url = new URL(request.url ?? '', `https://${host}`);
  const method = request.method ?? '';
  const { pathname: path } = url;
  const fault = takeFault(parts.faults, path);
  const note = (status: number | null): void => void parts.requests.push({ method, path, status });
  if (fault?.answer === 'hang' || fault?.answer === 'drop') {
    note(null);
    if (fault.answer === 'drop') request.socket.destroy();
    return;
  }
  const resource = `https://${parts.options.host.replace(/^[^.]+\./, '')}`;
  const answer =
    fault?.answer ??
    (parts.tokens.accepts(request.headers.authorization, resource)
      ? answerVault(parts.secrets, await askedOf(request, url, method))
      : challenge(parts, resource, Number(url.port)));
  note(answer.status);
  send(response, answer);
}

async function askedOf(request: IncomingMessage, url: URL, method: string): Promise<Asked> {
  const text = await textOf(request);
  return {
    method,
    path: url.pathname,
    query: url.searchParams,
    body: text === '' ? {} : (JSON.parse(text) as Asked['body']),
    origin: url.origin,
  };
}

/** Entra: where its endpoints are, and tokens for a client id and secret. */
async function answerLogin(parts: Parts, request: IncomingMessage): Promise<Answer> {
  const origin = `https://${request.headers.host}`;
  const { pathname } = new URL(request.url ?? '', origin);
  if (pathname.endsWith('/.well-known/openid-configuration')) {
    const body = {
      issuer: `${origin}/${TENANT}/v2.0`,
      authorization_endpoint: `${origin}/${TENANT}/oauth2/v2.0/authorize`,
      token_endpoint: `${origin}/${TENANT}/oauth2/v2.0/token`,
      jwks_uri: `${origin}/${TENANT}/discovery/v2.0/keys`,
    };
    return { status: 200, body };
  }
  const form = new URLSearchParams(await textOf(request));
  const { clientId, secret } = parts.client;
  if (form.get('client_id') !== clientId || form.get('client_secret') !== secret) {
    const description = 'AADSTS7000215: Invalid client secret provided.';
    const body = { error: 'invalid_client', error_description: description, error_codes: [7000215] };
    return { status: 401, body };
  }
  const resource = (form.get('scope') ?? '').split(' ')[0]?.replace(/\/\.default$/, '') ?? '';
  return { status: 200, body: { ...parts.tokens.issue(resource), ext_expires_in: 3_600 } };
}

async function serveLogin(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  send(response, await answerLogin(parts, request));
}

/** What a Function App asks for its managed identity's token, on its own machine and without TLS. */
function identityServer(tokens: Tokens, header: string): Server {
  return createHttpServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://identity');
    const resource = searchParams.get('resource');
    if (request.headers['x-identity-header'] !== header || resource === null) {
      send(response, { status: 401, body: { statusCode: 401, message: 'The header is wrong.' } });
      return;
    }
    const { expires_in: lifetime, ...token } = tokens.issue(resource);
    const expires = Math.floor(Date.now() / 1000) + lifetime;
    send(response, { status: 200, body: { ...token, resource, expires_on: String(expires) } });
  });
}

/** Starts a vault, Entra's token endpoint and a managed identity's endpoint, on this machine. */
export async function startVault(options: VaultOptions): Promise<VaultStandIn> {
  const parts: Parts = {
    options,
    secrets: new Secrets(options.now ?? (() => new Date())),
    tokens: new Tokens(),
    faults: [],
    requests: [],
    client: { tenantId: TENANT, clientId: 'stand-in-client', secret: randomBytes(16).toString('hex') },
  };
  const server = createHttpsServer({ cert: options.certificate, key: options.key }, (request, response) => {
    const isLogin = request.headers.host?.startsWith(`${options.loginHost}:`) === true;
    void (isLogin ? serveLogin(parts, request, response) : serveVault(parts, request, response));
  });
  const header = randomBytes(16).toString('hex');
  const identity = identityServer(parts.tokens, header);
  const [port, identityPort] = await Promise.all([listen(server), listen(identity)]);
  return {
    url: `https://${options.host}:${port}`,
    authorityHost: `https://${options.loginHost}:${port}`,
    client: parts.client,
    identity: {
      IDENTITY_ENDPOINT: `http://127.0.0.1:${identityPort}/msi/token`,
      IDENTITY_HEADER: header,
    },
    secrets: parts.secrets,
    tokens: parts.tokens,
    faults: parts.faults,
    requests: parts.requests,
    throttled: (seconds) => ({
      ...refusal(429, 'Throttled', 'Request was not processed because too many requests were received.'),
      headers: { 'retry-after': String(seconds) },
    }),
    async close() {
      server.closeAllConnections();
      await Promise.all([server, identity].map((one) => new Promise((resolve) => one.close(resolve))));
    },
  };
}
