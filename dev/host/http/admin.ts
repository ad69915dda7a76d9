import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import { describeError, type HostLog } from '../host-log.ts';
import type { HostedFunction } from '../worker/hosted-function.ts';
import { readBody } from './http-message.ts';
import type { AdminHandler } from './http-trigger.ts';

/** Input typed by hand: far more than any test message, far less than could hurt. */
const MAX_INPUT_BYTES = 10_485_760;

const RunBody = z.looseObject({ input: z.unknown().optional() });

/** What the admin addresses need of the host. */
export interface AdminOptions {
  readonly functions: readonly HostedFunction[];
  readonly run: (fn: HostedFunction, input: string) => Promise<unknown>;
  readonly baseUrl: () => string;
  readonly log: HostLog;
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

/** The text that a run by hand gets; an empty body is no input, and a value that is no text is given as JSON. */
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
  const input = parseInput(await readBody(request, MAX_INPUT_BYTES));
  if (input === undefined) {
    sendJson(response, 400, { error: 'The body must be JSON like { "input": "text" }.' });
    return true;
  }
  // Accepted, not done: the run goes on after the answer, as in Azure, and its failure is in the log alone.
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
 * The addresses of Core Tools under `/admin`: `GET host/status`, `GET functions`, `GET functions/{name}`, and
 * `POST functions/{name}`, which runs a function by hand.
 */
export function createAdminHandler(options: AdminOptions): AdminHandler {
  return async (request, response, path) => {
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
