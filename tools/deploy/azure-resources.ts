import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

/** How often a long-running change is asked for its state. */
const POLL_MS = 2_000;
/** A change of a database server's network takes minutes. */
const LONGEST_MS = 30 * 60_000;

/** A token for a scope. */
export type Tokens = (scope: string) => Promise<string>;

const MANAGEMENT = 'https://management.azure.com';

/** Azure refused a request. The message has its code and text, and never the request. */
export class AzureError extends Error {
  override name = 'AzureError';
  readonly status: number;
  constructor(what: string, status: number, answer: string) {
    const { success, data } = z
      .object({ error: z.object({ code: z.string(), message: z.string() }) })
      .safeParse(parseJson(answer));
    super(`${what}: ${status}${success ? ` ${data.error.code}: ${data.error.message}` : ''}`);
    this.status = status;
  }
}

/** A text as JSON; undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

type Method = 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE';

const operation = z.object({ status: z.string(), error: z.object({ message: z.string() }).optional() });

/** Azure Resource Manager, for what a template cannot do. `base` is where a test's stand-in is. */
export class AzureResources {
  readonly #tokens: Tokens;
  readonly #base: string;
  readonly #pollMs: number;

  constructor(tokens: Tokens, base = MANAGEMENT, pollMs = POLL_MS) {
    this.#tokens = tokens;
    this.#base = base;
    this.#pollMs = pollMs;
  }

  /**
   * Sends a request for a resource, and waits until a change has ended. Returns the answer; undefined when a resource that was
   * asked for or deleted does not exist.
   * @throws AzureError when Azure refuses, or when the change fails.
   */
  async send(method: Method, resource: string, apiVersion: string, body?: unknown): Promise<unknown> {
    const what = `${method} ${resource.split('/').slice(-2).join('/')}`;
    const answer = await this.#fetch(`${this.#base}${resource}?api-version=${apiVersion}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (answer.status === 404 && (method === 'GET' || method === 'DELETE')) return undefined;
    if (!answer.ok) throw new AzureError(what, answer.status, text);
    const follow = answer.headers.get('azure-asyncoperation') ?? answer.headers.get('location');
    if (method !== 'GET' && follow !== null && (answer.status === 201 || answer.status === 202)) {
      await this.#waitFor(what, follow);
    }
    return text === '' ? null : parseJson(text);
  }

  async #fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const token = await this.#tokens(`${MANAGEMENT}/.default`);
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    return fetch(url, { ...init, headers });
  }

  async #waitFor(what: string, url: string): Promise<void> {
    const end = Date.now() + LONGEST_MS;
    while (Date.now() < end) {
      const answer = await this.#fetch(url);
      const text = await answer.text();
      if (!answer.ok) throw new AzureError(what, answer.status, text);
      const { success, data } = operation.safeParse(parseJson(text));
      // Without a state in the body, the status is the state.
      const state = success ? data.status : answer.status === 202 ? 'InProgress' : 'Succeeded';
      if (state === 'Succeeded') return;
      if (state === 'Failed' || state === 'Canceled') {
        throw new Error(`${what}: ${state} ${data?.error?.message ?? ''}`.trimEnd());
      }
      await delay(this.#pollMs);
    }
    throw new Error(`${what}: not finished after ${LONGEST_MS / 60_000} minutes`);
  }
}
