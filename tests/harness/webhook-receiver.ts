import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';
import { makeAuthority } from './certificates.ts';

/** A message that came. */
export interface ReceivedWebhook {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A server that a tenant's webhooks can be sent to, over HTTPS, on this machine. */
export interface WebhookReceiver {
  readonly port: number;
  /** The certificate of the authority that signed the server's. */
  readonly authority: string;
  readonly received: readonly ReceivedWebhook[];
  /** The messages that came to a path. */
  at(path: string): readonly ReceivedWebhook[];
  url(path: string): string;
  /** Answers messages to a path in another way than 204. */
  answer(path: string, reply: (response: ServerResponse, request: IncomingMessage) => void): void;
}

/** Starts a receiver, which stops with the test file. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const authority = makeAuthority('an authority of receivers');
  const { certificate, key } = authority.certify({
    name: 'receiver',
    hosts: ['127.0.0.1', 'localhost', 'hooks.example.com'],
  });
  const received: ReceivedWebhook[] = [];
  const replies = new Map<string, (response: ServerResponse, request: IncomingMessage) => void>();
  const server = createServer({ cert: certificate, key }, (request, response) => {
    const path = request.url ?? '';
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8');
      received.push({ path, headers: request.headers as Record<string, string>, body });
      const reply = replies.get(path);
      if (reply === undefined) response.writeHead(204).end();
      else reply(response, request);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  afterAll(() => {
    server.closeAllConnections();
    return new Promise((done) => server.close(done));
  });
  return {
    port,
    authority: authority.certificate,
    received,
    at: (path) => received.filter((one) => one.path === path),
    url: (path) => `https://127.0.0.1:${port}${path}`,
    answer: (path, reply) => void replies.set(path, reply),
  };
}
