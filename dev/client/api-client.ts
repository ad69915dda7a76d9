import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** An answer of the API. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

/** A client of the API as one key. */
export interface ApiClient {
  /**
   * Sends one request. Waits and tries again on 429 and 503 as `Retry-After` says, and on a lost connection.
   * @throws Error when the service has not come back within {@link GIVE_UP_MS}.
   */
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<ApiAnswer>;
}

/** A service that stays away this long is not restarting. */
const GIVE_UP_MS = 120_000;
/** Without a `Retry-After`. */
const WAIT_DEFAULT_MS = 1_000;
/** A rate limit's window can be an hour; a client must not wait longer than this without a word. */
const WAIT_MAX_MS = 60_000;

/** How many times requests were sent again, for a summary. */
export interface RetryCount {
  retries: number;
}

/** Opens a client. */
export function openApiClient(
  baseUrl: string,
  apiKey: string,
  count: RetryCount = { retries: 0 },
): ApiClient {
  return {
    async send(method, path, body, headers = {}) {
      const giveUpAt = Date.now() + GIVE_UP_MS;
      for (;;) {
        const answer = await attempt(new URL(path, baseUrl), method, apiKey, body, headers);
        if (answer !== undefined && answer.status !== 429 && answer.status !== 503) return answer;
        const told = Number(answer?.headers.get('retry-after') ?? Number.NaN) * 1000;
        const wait = Math.min(Number.isNaN(told) ? WAIT_DEFAULT_MS : told, WAIT_MAX_MS);
        if (Date.now() + wait > giveUpAt) {
          const last =
            answer === undefined ? 'no answer' : `${answer.status} ${problemCode(answer.body) ?? ''}`;
          throw new Error(`${method} ${path} was not served within ${GIVE_UP_MS / 1000} s: ${last}`);
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
    // fetch rejects with a TypeError when there was no answer at all.
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
