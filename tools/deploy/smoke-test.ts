import { request } from 'node:https';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { rootCertificates } from 'node:tls';
import { z } from 'zod';
import { parseJson } from './azure-resources.ts';

/** A new package, a new gateway and a new name need minutes. */
const READY_WITHIN_MS = 10 * 60_000;
const RETRY_MS = 5_000;
const REQUEST_MS = 15_000;
/** A closed port is answered at once, a filtered one never. */
const CONNECT_MS = 3_000;

const readiness = z.object({
  status: z.enum(['healthy', 'degraded']),
  dependencies: z.array(z.object({ name: z.string(), status: z.string() })),
});

export type Readiness = z.output<typeof readiness>;

interface Answer {
  readonly status: number;
  readonly body: string;
}

function get(url: URL, ca: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { ca: [...ca], timeout: REQUEST_MS, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => (body += part));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on('error', reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${REQUEST_MS / 1000} s`)));
    sent.on('error', reject);
    sent.end();
  });
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_MS });
    const end = (open: boolean) => () => {
      socket.destroy();
      resolve(open);
    };
    socket.on('connect', end(true)).on('timeout', end(false)).on('error', end(false));
  });
}

/** How the test runs; a test of the test has its own. */
export interface SmokeOptions {
  /** More certificates to trust: the self-signed one of the gateway. */
  readonly trusted?: readonly string[];
  readonly readyWithinMs?: number;
  readonly retryMs?: number;
  /** Where plain HTTP must not be accepted. */
  readonly plainPort?: number;
}

/**
 * Asks for readiness through the gateway, with its certificate checked, until the answer is 200. Then sees that the gateway takes
 * no plain HTTP. Returns the state of the app's dependencies.
 * @throws Error with the last answer.
 */
export async function smokeTest(apiUrl: string, options: SmokeOptions = {}): Promise<Readiness> {
  const url = new URL('/api/health/ready', apiUrl);
  const ca = [...rootCertificates, ...(options.trusted ?? [])];
  const end = Date.now() + (options.readyWithinMs ?? READY_WITHIN_MS);
  let last = '';
  for (;;) {
    try {
      const { status, body } = await get(url, ca);
      const read = readiness.safeParse(parseJson(body));
      if (status === 200 && read.success) {
        if (await accepts(url.hostname, options.plainPort ?? 80)) {
          throw new Error(`${url.hostname} accepts plain HTTP`);
        }
        return read.data;
      }
      last = `${status} ${body.slice(0, 500)}`;
    } catch (error) {
      last = String(error);
    }
    if (Date.now() > end) throw new Error(`${url.href} is not ready: ${last}`);
    await delay(options.retryMs ?? RETRY_MS);
  }
}
