import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { describeError, type HostLog } from '../host-log.ts';
import type { HostedFunction } from '../worker/hosted-function.ts';
import type { AdminHandler } from './http-trigger.ts';
import { readBody, refuse } from './request-body.ts';

/** Larger than any test message, and small enough for memory. */
const MAX_INPUT_BYTES = 10_485_760;

const RunBody = z.looseObject({ input: z.unknown().optional() });

/** What the admin addresses need of the host. */
export interface AdminOptions {
  readonly functions: readonly HostedFunction[];
  readonly run: (fn: HostedFunction, input: string) => Promise<unknown>;
  readonly baseUrl: () => string;
  readonly log: HostLog;
}

/** The names of this machine that a browser may send as `Host`. The server listens only on 127.0.0.1. */
const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

interface Refusal {
  readonly status: 403 | 415;
  readonly error: string;
}

/**
 * The admin addresses need no key, and any web page can make a browser send requests to this machine. So these are refused:
 * a `Host` other than a loopback name (DNS rebinding), the `Origin` of another page, and a write that is not
 * `application/json` (another page cannot send that type without a CORS preflight, which the host does not allow).
 */
function findRefusal({ headers, method }: IncomingMessage): Refusal | undefined {
  const { host = '', origin } = headers;
  if (!URL.canParse(`http://${host}`) || !LOOPBACK_NAMES.has(new URL(`http://${host}`).hostname)) {
    return { status: 403, error: 'The admin addresses answer only on localhost.' };
  }
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    return { status: 403, error: 'The admin addresses refuse requests of other web pages.' };
  }
  const isWrite = method !== 'GET' && method !== 'HEAD';
  const mediaType = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  return isWrite && mediaType !== 'application/json'
    ? { status: 415, error: 'Send it as application/json.' }
    : undefined;
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const bytes = Buffer.from(JSON.stringify(value));
  response.writeHead(status, [
    'content-type',
    'application/json; charset=utf-8',
    'content-length',
    String(bytes.length),
  ]);
  response.end(bytes);
}

function describeFunction(fn: HostedFunction, baseUrl: string): Record<string, unknown> {
  return {
    name: fn.name,
    type: fn.type,
    isDisabled: fn.disabled,
    config: { bindings: Object.values(fn.registered.metadata.bindings) },
    invoke_url_template: fn.kind === 'http' ? `${baseUrl}/${fn.route}` : null,
  };
}

/** The input text of a run by hand: empty for an empty body, JSON for a value that is not text; undefined if malformed. */
function parseInput(body: Buffer): string | undefined {
  if (body.length === 0) return '';
  try {
    const parsed = RunBody.safeParse(JSON.parse(body.toString('utf8')));
    if (!parsed.success) return undefined;
    const { input } = parsed.data;
    return typeof input === 'string'
      ? input
      : input === undefined || input === null
        ? ''
        : JSON.stringify(input);
  } catch {
    return undefined;
  }
}

async function runByHand(
  options: AdminOptions,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const fn = options.functions.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
  if (!fn) return false;
  const input = parseInput(await readBody(request, response, MAX_INPUT_BYTES));
  if (input === undefined) {
    sendJson(response, 400, { error: 'The body must be JSON like { "input": "text" }.' });
    return true;
  }
  // As in Azure, 202 means accepted, not done: the run continues after the answer, and a failure is only logged.
  options.run(fn, input).catch((error: unknown) => {
    options.log({
      level: 'error',
      source: fn.name,
      message: `Failed (run by hand): ${describeError(error)}`,
    });
  });
  response.writeHead(202, ['content-length', '0']);
  response.end();
  return true;
}

/**
 * Handles `/admin` like Core Tools: `GET host/status`, `GET functions`, `GET functions/{name}`, and `POST functions/{name}`,
 * which runs a function by hand. Requests of other web pages are refused.
 */
export function createAdminHandler(options: AdminOptions): AdminHandler {
  return async (request, response, path) => {
    const refusal = findRefusal(request);
    if (refusal) {
      refuse(request, response, refusal.status, { error: refusal.error });
      return true;
    }
    const [area = '', item = '', ...rest] = path.slice('/admin/'.length).replace(/\/$/, '').split('/');
    if (rest.length > 0) return false;
    if (request.method === 'GET' && area === 'host' && item === 'status') {
      sendJson(response, 200, {
        id: 'local',
        state: 'Running',
        version: process.version,
        processUptime: Math.round(process.uptime() * 1000),
      });
      return true;
    }
    if (area !== 'functions') return false;
    if (request.method === 'GET') {
      const listed = options.functions.map((fn) => describeFunction(fn, options.baseUrl()));
      const one = listed.find((fn) => String(fn['name']).toLowerCase() === item.toLowerCase());
      if (item !== '' && !one) return false;
      sendJson(response, 200, item === '' ? listed : one);
      return true;
    }
    return request.method === 'POST' && item !== '' ? runByHand(options, item, request, response) : false;
  };
}
