import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFixtureApp, startFixture, type FixtureApp, type FixtureHost } from '../fixture-app.ts';

const LIMIT = 1_000_000;
const MEGABYTE = Buffer.alloc(1_048_576, 'a');
const MEGABYTES = 110;
/** Megabytes that the sockets' buffers on both ends may hold, unread by the host. */
const IN_FLIGHT_AT_MOST = 40;

const SOURCE = `app.http('size', { methods: ['POST'], handler: async (request) => {
  const bytes = (await request.arrayBuffer()).byteLength;
  tell('size', bytes);
  return { body: String(bytes) };
} });`;

interface Sent {
  /** The answer's first line. */
  readonly status: string;
  /** How many megabytes the socket took before the host closed it. */
  readonly megabytes: number;
}

/** Sends a body as fast as the host accepts it, until the end or until the host closes the connection. */
function sendBody(port: number, head: string, chunked: boolean): Promise<Sent> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1');
    let answer = '';
    let megabytes = 0;
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('error', () => undefined); // the host has closed; the answer says why
    socket.on('close', () => resolve({ status: answer.split('\r\n')[0] ?? '', megabytes }));
    const length = chunked ? 'transfer-encoding: chunked' : `content-length: ${MEGABYTES * MEGABYTE.length}`;
    socket.write(
      `${head} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${length}\r\n\r\n`,
    );
    const pump = (): void => {
      while (megabytes < MEGABYTES && socket.writable) {
        megabytes += 1;
        if (chunked) socket.write(`${MEGABYTE.length.toString(16)}\r\n`);
        const flowing = socket.write(MEGABYTE);
        if (chunked) socket.write('\r\n');
        if (!flowing) {
          socket.once('drain', pump);
          return;
        }
      }
      if (socket.writable) socket.end(chunked ? '0\r\n\r\n' : '');
    };
    pump();
  });
}

describe('a request with a body', () => {
  let app: FixtureApp;
  let fixture: FixtureHost;
  beforeAll(async () => {
    app = await buildFixtureApp(SOURCE);
    fixture = await startFixture(app, { settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: String(LIMIT) } });
  });
  afterAll(async () => {
    await fixture.host.stop();
    app.remove();
  });

  it.each([
    ['POST /api/size', 'HTTP/1.1 413 Payload Too Large'],
    ['POST /api/none', 'HTTP/1.1 404 Not Found'],
    ['PUT /api/size', 'HTTP/1.1 404 Not Found'],
    ['POST /admin/functions/size', 'HTTP/1.1 413 Payload Too Large'],
    ['POST /admin/functions/none', 'HTTP/1.1 404 Not Found'],
    ['POST /admin/none', 'HTTP/1.1 404 Not Found'],
  ])('that is refused gets its answer, and its 110 MB are not read: %s', async (head, status) => {
    for (const chunked of [false, true]) {
      const sent = await sendBody(fixture.host.port, head, chunked);
      expect([chunked, sent.status]).toEqual([chunked, status]);
      expect(sent.megabytes).toBeLessThan(IN_FLIGHT_AT_MOST);
    }
  });

  it('above the limit is refused before a client with Expect: 100-continue sends any of it', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(fixture.host.port, '127.0.0.1');
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString())).on('close', () => resolve(text));
      socket.write(
        `POST /api/size HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\ncontent-length: ${LIMIT + 1}\r\n\r\n`,
      );
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/connection: close/i);
  });

  it('within the limit gets 100 Continue and is read whole, also when it is exactly as long as the limit', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(fixture.host.port, '127.0.0.1');
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write(Buffer.alloc(LIMIT));
      });
      socket.on('close', () => resolve(text));
      socket.write(
        `POST /api/size HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: ${LIMIT}\r\n\r\n`,
      );
    });
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
    expect(answer).toMatch(new RegExp(`\r\n\r\n${LIMIT}$`));
  });

  it('is refused in a way that fetch understands', async () => {
    const response = await fetch(`${fixture.base}/api/size`, {
      method: 'POST',
      body: Buffer.alloc(LIMIT * 20),
    });
    expect(response.status).toBe(413);
    // Only the connection was closed: the host still answers.
    expect(await (await fetch(`${fixture.base}/api/size`, { method: 'POST', body: 'abc' })).text()).toBe('3');
  });
});

it('a limit that is not a number of bytes is refused at the start', async () => {
  const app = await buildFixtureApp(SOURCE);
  try {
    await expect(
      startFixture(app, { settings: { FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '100 MB' } }),
    ).rejects.toThrow(`FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is not a number of bytes: '100 MB'`);
  } finally {
    app.remove();
  }
});
