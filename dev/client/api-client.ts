import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** A response of the API. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A client of the API with one API key. */
export interface ApiClient {
  /**
   * Sends one request. Retries on 429 and 503 after `Retry-After`, and on a lost connection.
   * @throws Error when there is no other answer within {@link RETRY_LIMIT_MS}.
   */
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<ApiAnswer>;
}

/** Longer than a restart takes. */
const RETRY_LIMIT_MS = 120_000;
/** Used without a `Retry-After`. */
const WAIT_DEFAULT_MS = 1_000;
/** `Retry-After` can be an hour for a rate limit: too long to wait without an output. */
const WAIT_MAX_MS = 60_000;

/** Counts retries, for a summary. */
export interface RetryCount {
  retries: number;
}

/** Makes a client. Its retries are added to `count`. */
export function openApiClient(
  baseUrl: string,
  apiKey: string,
  count: RetryCount = { retries: 0 },
): ApiClient {
  return {
    async send(method, path, body, headers = {}) {
      const deadline = Date.now() + RETRY_LIMIT_MS;
      for (;;) {
        const answer = await attempt(new URL(path, baseUrl), method, apiKey, body, headers);
        if (answer !== undefined && answer.status !== 429 && answer.status !== 503) return answer;
        const retryAfter = Number(answer?.headers.get('retry-after') ?? Number.NaN) * 1000;
        const wait = Math.min(Number.isNaN(retryAfter) ? WAIT_DEFAULT_MS : retryAfter, WAIT_MAX_MS);
        if (Date.now() + wait > deadline) {
          const last =
            answer === undefined ? 'no answer' : `${answer.status} ${problemCode(answer.body) ?? ''}`;
          throw new Error(`${method} ${path} did not succeed within ${RETRY_LIMIT_MS / 1000} s: ${last}`);
        }
        count.retries += 1;
        await sleep(wait);
      }
    },
  };
}

async function attempt(
  url: URL,
  method: string,
  apiKey: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<ApiAnswer | undefined> {
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...headers,
        authorization: `Bearer ${apiKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: text === '' ? undefined : parse(text),
    };
  } catch (error) {
    // fetch rejects with a TypeError when there is no response.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A problem's `code`, if the body is a problem. */
export function problemCode(body: unknown): string | undefined {
  return z.looseObject({ code: z.string() }).safeParse(body).data?.code;
}
