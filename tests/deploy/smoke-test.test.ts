import { createServer, type Server } from 'node:https';
import { createServer as createPlainServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { smokeTest } from '../../tools/deploy/smoke-test.ts';
import { certifySelf } from '../harness/certificates.ts';

/** As Key Vault makes them: signed by itself, and no authority for others. */
const own = certifySelf({ name: 'localhost', hosts: ['localhost', '127.0.0.1'] });
const READY = { status: 'degraded', dependencies: [{ name: 'redis', status: 'unavailable' }] };
/** Nothing listens at port 1 of this machine. */
const QUICK = { trusted: [own.certificate], readyWithinMs: 2_000, retryMs: 10, plainPort: 1 };

/** A gateway that gives these answers, the last one for ever. */
async function start(
  ...answers: { status: number; body: unknown }[]
): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server: Server = createServer({ key: own.key, cert: own.certificate }, (request, response) => {
    asked.push(request.url ?? '');
    const { status, body } = answers[Math.min(asked.length, answers.length) - 1] ?? { status: 500, body: {} };
    response.writeHead(status).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('it waits until the API is ready through a new gateway, and returns what the API says of its parts', async () => {
  const { url, asked } = await start(
    { status: 502, body: 'Bad Gateway' },
    { status: 503, body: { status: 'unhealthy', dependencies: [] } },
    { status: 200, body: READY },
  );
  expect(await smokeTest(url, QUICK)).toEqual(READY);
  expect(asked).toEqual(Array(3).fill('/api/health/ready'));
});

test('an API that does not become ready fails it, with the last answer', async () => {
  const { url } = await start({ status: 503, body: { status: 'unhealthy', dependencies: ['core'] } });
  await expect(smokeTest(url, { ...QUICK, readyWithinMs: 100 })).rejects.toThrow(
    /api\/health\/ready is not ready: 503 .*unhealthy/,
  );
});

test('something else that answers 200 is not the API', async () => {
  const { url } = await start({ status: 200, body: { welcome: 'to your new app' } });
  await expect(smokeTest(url, { ...QUICK, readyWithinMs: 100 })).rejects.toThrow('is not ready: 200');
});

test('a certificate that nobody trusts fails it', async () => {
  const { url, asked } = await start({ status: 200, body: READY });
  const untrusted = {
    ...QUICK,
    trusted: [certifySelf({ name: 'localhost', hosts: ['127.0.0.1'] }).certificate],
    readyWithinMs: 100,
  };
  await expect(smokeTest(url, untrusted)).rejects.toThrow(/is not ready: .*certificate/i);
  expect(asked).toEqual([]);
});

test('a gateway that takes plain HTTP fails it', async () => {
  const { url } = await start({ status: 200, body: READY });
  const plain = createPlainServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void plain.close());
  const options = { ...QUICK, readyWithinMs: 100, plainPort: (plain.address() as AddressInfo).port };
  await expect(smokeTest(url, options)).rejects.toThrow('accepts plain HTTP');
});
