import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What Azure Resource Manager and Key Vault do with requests, as far as a deployment uses them. */
export interface AzureStandIn {
  readonly url: string;
  /** Every change, in order: method and path. */
  readonly changes: readonly string[];
  /** The state of resources and secrets, by path. */
  readonly state: Map<string, Record<string, unknown>>;
  /** The next answers to a change of a path that ends so. */
  readonly faults: Map<string, { readonly status: number; readonly times: number }>;
  close(): Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

type State = Record<string, unknown>;

/** A PATCH merges objects and replaces everything else. */
function merge(old: State, change: State): State {
  const merged: State = { ...old };
  for (const [name, value] of Object.entries(change)) {
    const before = merged[name];
    const isObject = (one: unknown): one is State =>
      typeof one === 'object' && one !== null && !Array.isArray(one);
    merged[name] = isObject(value) && isObject(before) ? merge(before, value) : value;
  }
  return merged;
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    );
  });
}

/** Starts it. It answers changes of database servers with 202, and they end after three questions. */
export async function startAzureStandIn(): Promise<AzureStandIn> {
  const changes: string[] = [];
  const state = new Map<string, State>();
  const faults: AzureStandIn['faults'] = new Map();
  const running = new Map<string, number>();

  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const url = new URL(request.url ?? '', 'http://azure');
      const [method, path] = [request.method ?? '', url.pathname];
      const send = (
        status: number,
        answer: unknown = {},
        headers: Record<string, string> = {},
      ): ServerResponse => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        return response.end(status === 204 ? '' : JSON.stringify(answer));
      };
      if (!/^Bearer token-of-\S+/.test(request.headers.authorization ?? ''))
        return send(401, { error: { code: 'Unauthorized', message: 'no token' } });
      if (path.startsWith('/operations/')) {
        const left = (running.get(path) ?? 0) - 1;
        running.set(path, left);
        return send(200, { status: left > 0 ? 'InProgress' : 'Succeeded' });
      }
      if (!url.searchParams.has('api-version'))
        return send(400, { error: { code: 'MissingApiVersionParameter', message: 'no api-version' } });
      for (const [end, { status, times }] of faults) {
        if (!path.endsWith(end) || times === 0) continue;
        faults.set(end, { status, times: times - 1 });
        return send(status, { error: { code: 'Refused', message: `${end} is refused` } });
      }
      const found = state.get(path);
      if (method === 'GET') return found === undefined ? send(404) : send(200, found);
      changes.push(`${method} ${path}`);
      if (method === 'DELETE') state.delete(path);
      else if (method === 'POST' && path.endsWith('/create')) {
        const certificate = path.replace('/create', '');
        state.set(certificate, { cer: Buffer.from('certificate').toString('base64'), ...body });
        state.set(`${certificate}/pending`, { status: 'completed' });
      } else if (method !== 'POST') state.set(path, method === 'PATCH' ? merge(found ?? {}, body) : body);
      if (!path.includes('/flexibleServers/')) return send(200, body);
      const operation = `/operations/${changes.length}`;
      running.set(operation, 3);
      return send(202, {}, { 'azure-asyncoperation': `http://${request.headers.host ?? ''}${operation}` });
    });
  });
  const url = await listen(server);
  return {
    url,
    changes,
    state,
    faults,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
