import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { startWebhookReceiver } from '../../../tests/harness/webhook-receiver.ts';
import { checkedLookup, type FoundAddress } from './checked-lookup.ts';
import { postOnce, type Posting } from './post-once.ts';

const receiver = await startWebhookReceiver();
const strict = { ports: [receiver.port], allowsLoopback: false, extraCa: [receiver.authority] };
const local = { ...strict, allowsLoopback: true };
const NAME = `https://hooks.example.com:${receiver.port}`;
const HERE: FoundAddress = { address: '127.0.0.1', family: 4 };

/** Answers each look-up with the next list. */
function resolver(...answers: readonly (readonly FoundAddress[])[]) {
  let asked = 0;
  return {
    resolve: () => Promise.resolve(answers[Math.min(asked++, answers.length - 1)] ?? []),
    asked: () => asked,
  };
}

const post = (changed: Partial<Posting>) =>
  postOnce({ url: `${NAME}/ok`, headers: {}, body: '{}', timeoutMs: 2_000, rules: local, ...changed });

describe('an address is refused when the socket looks it up', () => {
  test.each([
    ['127.0.0.1', 4],
    ['10.1.2.3', 4],
    ['169.254.169.254', 4],
    ['::1', 6],
    ['::ffff:127.0.0.1', 6],
    ['64:ff9b::7f00:1', 6],
  ])('%s', async (address, family) => {
    const before = receiver.received.length;
    const { resolve } = resolver([{ address, family }]);
    expect(await post({ rules: strict, resolve })).toEqual({ failure: 'refused' });
    expect(receiver.received).toHaveLength(before);
  });

  test('also beside a public one', async () => {
    const { resolve } = resolver([{ address: '8.8.8.8', family: 4 }, HERE]);
    expect(await post({ rules: strict, resolve })).toEqual({ failure: 'refused' });
  });

  test('also where it is written in the URL', async () => {
    const url = receiver.url('/literal');
    expect(await post({ rules: strict, url })).toEqual({ failure: 'refused' });
    expect(receiver.at('/literal')).toHaveLength(0);
  });

  test('also of a network that is not this machine, where this machine is allowed', async () => {
    const { resolve } = resolver([{ address: '10.0.0.1', family: 4 }]);
    expect(await post({ resolve })).toEqual({ failure: 'refused' });
  });
});

test('a name that leads elsewhere after the check leads nowhere: the look-up that is checked is the one that is used', async () => {
  const turning = resolver([HERE], [{ address: '10.0.0.1', family: 4 }]);
  expect(await post({ url: `${NAME}/turning`, resolve: turning.resolve })).toEqual({ status: 204 });
  expect(turning.asked()).toBe(1);
  expect(await post({ url: `${NAME}/turning`, resolve: turning.resolve })).toEqual({ failure: 'refused' });
  expect(receiver.at('/turning')).toHaveLength(1);
});

test('a server is believed only with a certificate of its name, from a known authority', async () => {
  const { resolve } = resolver([HERE]);
  expect(await post({ resolve, rules: { ...local, extraCa: [] } })).toEqual({ failure: 'tls' });
  const url = `https://other.example.com:${receiver.port}/name`;
  expect(await post({ resolve, url })).toEqual({ failure: 'tls' });
  expect(receiver.at('/name')).toHaveLength(0);
});

test('a redirect is an answer, and is not followed', async () => {
  receiver.answer('/moved', (response) =>
    response.writeHead(302, { location: receiver.url('/target') }).end(),
  );
  expect(await post({ url: receiver.url('/moved') })).toEqual({ status: 302 });
  expect(receiver.at('/target')).toHaveLength(0);
});

test('of an endless answer a little is read', async () => {
  let written = 0;
  receiver.answer('/endless', (response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384))) written += 16_384;
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  });
  expect(await post({ url: receiver.url('/endless'), timeoutMs: 10_000 })).toEqual({ status: 200 });
  expect(written).toBeLessThan(50_000_000);
});

test('who does not answer, breaks off, is not there or has no name is told apart', async () => {
  receiver.answer('/slow', () => undefined);
  receiver.answer('/broken', (response) => response.socket?.destroy());
  expect(await post({ url: receiver.url('/slow'), timeoutMs: 100 })).toEqual({ failure: 'timeout' });
  expect(await post({ url: receiver.url('/broken') })).toEqual({ failure: 'broken_off' });
  const closed = createServer();
  await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done));
  const { port } = closed.address() as AddressInfo;
  await new Promise((done) => closed.close(done));
  const rules = { ...local, ports: [port] };
  expect(await post({ url: `https://127.0.0.1:${port}/`, rules })).toEqual({ failure: 'unreachable' });
  const unknown = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
  expect(await post({ resolve: () => Promise.reject(unknown) })).toEqual({ failure: 'unreachable' });
});

test('an answer that asks for another protocol is none, and does not hold the sender', async () => {
  const answer = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n';
  receiver.answer('/upgrade', (response) => response.socket?.write(answer));
  expect(await post({ url: receiver.url('/upgrade') })).toEqual({ failure: 'broken_off' });
});

test('a status counts as soon as it is there: its body gets a second, not all of the time', async () => {
  receiver.answer('/held', (response) => response.writeHead(200).write('x'));
  const start = performance.now();
  expect(await post({ url: receiver.url('/held'), timeoutMs: 60_000 })).toEqual({ status: 200 });
  expect(performance.now() - start).toBeLessThan(5_000);
});

test('a look-up takes none of the threads that files, hashes and databases need', async () => {
  const looking = new Promise((done) => checkedLookup(() => true)('slow.hooks.invalid', { all: true }, done));
  expect(process.getActiveResourcesInfo()).not.toContain('GetAddrInfoReqWrap');
  await looking;
});

test('a body that never ends does not hold the sender longer than its time', async () => {
  receiver.answer('/dripping', (response) => response.writeHead(200).write('x'));
  const start = performance.now();
  expect(await post({ url: receiver.url('/dripping'), timeoutMs: 200 })).toEqual({ status: 200 });
  expect(performance.now() - start).toBeLessThan(2_000);
});
