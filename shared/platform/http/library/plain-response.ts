import type { HttpResponseInit } from '@azure/functions';

/** An answer as the worker takes it, as far as this makes it. */
export interface WorkerResponse {
  readonly http: {
    readonly statusCode: string;
    readonly headers: Record<string, string>;
    readonly cookies: readonly [];
    readonly enableContentNegotiation: false;
    readonly body: { readonly bytes: Uint8Array };
  };
}

/** Statuses that may have a body: `fetch` refuses one with 204, 205 and 304, and knows none below 200. */
function mayHaveBody(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599 && ![204, 205, 304].includes(status);
}

const NAME = /^[a-z0-9-]+$/;
const VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;
const KNOWN_MEMBERS = new Set(['status', 'headers', 'body']);

/**
 * The worker's form of an answer that is plain: a status, headers in lower case, a text. Undefined for any other, for
 * the library to convert: it makes each answer one of `fetch` first, whose body is a stream that has to be read again.
 */
export function plainResponse(answer: unknown): WorkerResponse | undefined {
  if (typeof answer !== 'object' || answer === null || Object.getPrototypeOf(answer) !== Object.prototype)
    return undefined;
  const { status, headers, body } = answer as HttpResponseInit;
  if (status === undefined || !mayHaveBody(status) || typeof body !== 'string') return undefined;
  if (typeof headers !== 'object' || Object.getPrototypeOf(headers) !== Object.prototype) return undefined;
  for (const member in answer) if (!KNOWN_MEMBERS.has(member)) return undefined;
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
    if (typeof value !== 'string' || !NAME.test(name) || !VALUE.test(value)) return undefined;
    plain[name] = value;
  }
  // Without one the library gives a text its own.
  if (plain['content-type'] === undefined) return undefined;
  return {
    http: {
      statusCode: String(status),
      headers: plain,
      cookies: [],
      enableContentNegotiation: false,
      body: { bytes: Buffer.from(body, 'utf8') },
    },
  };
}
