import { Agent, request } from 'node:http';

/** A response. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed JSON; null without any. */
  readonly body: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- read as a test expects it
}

/** The variable parts of a request. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Longer than any limit that is tested. */
const ANSWER_TIMEOUT_MS = 20_000;

/** An HTTP client that keeps its connections and does not retry. */
export class HttpClient {
  readonly #baseUrl: URL;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 512 });

  constructor(baseUrl: string) {
    this.#baseUrl = new URL(baseUrl);
  }

  /** Sends one request. Rejects when the connection is refused or ends, or after 20 s. */
  ask(asked: Asked): Promise<Answer> {
    const payload = asked.body === undefined ? undefined : Buffer.from(JSON.stringify(asked.body));
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: this.#baseUrl.hostname,
          port: this.#baseUrl.port,
          agent: this.#agent,
          method: asked.method,
          path: asked.path,
          headers: {
            ...(asked.key === undefined ? {} : { authorization: `Bearer ${asked.key}` }),
            ...(payload === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': String(payload.length) }),
            ...asked.headers,
          },
          timeout: ANSWER_TIMEOUT_MS,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('aborted', () => reject(new Error('the answer broke off')));
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: text === '' ? null : JSON.parse(text),
            });
          });
        },
      );
      sent.on('error', reject);
      sent.on('timeout', () => sent.destroy(new Error('no answer within the client’s patience')));
      sent.end(payload);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
