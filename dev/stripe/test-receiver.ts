import { createServer } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import Stripe from 'stripe';

/** What an endpoint was sent. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The raw body. */
  readonly body: string;
  readonly event: Stripe.Event;
}

type Answer = (received: Received) => number | Promise<number>;

/** An endpoint that keeps what it is sent. */
export interface TestReceiver {
  readonly url: string;
  readonly received: Received[];
  /** Requests that were no deliveries: where a redirect was followed to. */
  readonly others: string[];
  /** The status of each answer; 0 never answers. 200 unless set. */
  answer: Answer;
  /** The objects' ids in the order of their arrival. */
  ids(): string[];
  /** Settles once so many have come. */
  whenReceived(count: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts one for a test. */
export async function startReceiver(): Promise<TestReceiver> {
  const waiters: { count: number; done: () => void }[] = [];
  const server = createServer((request, response) => {
    if (request.method !== 'POST') {
      receiver.others.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.end();
      return;
    }
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8');
      const event = Stripe.webhooks.constructEventWithoutVerification(body);
      const one = { path: request.url ?? '', headers: request.headers, body, event };
      receiver.received.push(one);
      for (const { count, done } of waiters) if (receiver.received.length >= count) done();
      void Promise.resolve(receiver.answer(one)).then((status) => {
        if (status !== 0) response.writeHead(status, status === 302 ? { Location: '/moved' } : {}).end();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const receiver: TestReceiver = {
    url: `http://127.0.0.1:${port}/webhooks`,
    received: [],
    others: [],
    answer: () => 200,
    ids: () => receiver.received.map(({ event: { data } }) => ('id' in data.object ? data.object.id : '')),
    whenReceived: (count) =>
      receiver.received.length >= count
        ? Promise.resolve()
        : new Promise((done) => waiters.push({ count, done })),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return receiver;
}
