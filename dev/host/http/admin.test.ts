import { request as rawRequest, type OutgoingHttpHeaders } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildFixtureApp,
  clearEvents,
  eventsOf,
  startFixture,
  until,
  type FixtureApp,
  type FixtureHost,
} from '../fixture-app.ts';

const SOURCE = `app.timer('job', { schedule: '0 0 0 1 1 *', handler: () => { tell('job', 'ran'); } });`;

describe('the admin addresses', () => {
  let app: FixtureApp;
  let fixture: FixtureHost;
  beforeAll(async () => {
    app = await buildFixtureApp(SOURCE);
    fixture = await startFixture(app);
  });
  beforeEach(() => clearEvents());
  afterAll(async () => {
    await fixture.host.stop();
    app.remove();
  });

  /** Sends a request as a browser would. Not with `fetch`, which cannot set `Host` or `Origin`. */
  function send(method: string, path: string, headers: OutgoingHttpHeaders, body = ''): Promise<number> {
    return new Promise((resolve, reject) => {
      const sent = rawRequest({ port: fixture.host.port, host: '127.0.0.1', method, path, headers });
      sent.on('error', reject).on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.end(body);
    });
  }
  const own = (): string => `127.0.0.1:${fixture.host.port}`;
  const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };

  it('refuse a write that is not application/json, because any web page can send it', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=a'])
      expect(
        await send('POST', '/admin/functions/job', { host: own(), 'content-type': type }, '{"input":""}'),
      ).toBe(415);
    expect(await send('POST', '/admin/functions/job', { host: own() }, '{"input":""}')).toBe(415);
    expect(await send('POST', '/admin/functions/job', { host: own() })).toBe(415);
    await fetch(`${fixture.base}/admin/host/status`);
    expect(eventsOf('job')).toEqual([]);
  });

  it('refuse requests of another web page, also of one on another port of this machine', async () => {
    for (const origin of ['https://example.com', 'http://127.0.0.1:1', 'http://localhost', 'null']) {
      const headers = { host: own(), origin, ...JSON_TYPE };
      expect([origin, await send('POST', '/admin/functions/job', headers, '{}')]).toEqual([origin, 403]);
      expect([origin, await send('GET', '/admin/functions', headers)]).toEqual([origin, 403]);
    }
    expect(eventsOf('job')).toEqual([]);
  });

  it('refuse a Host other than a loopback name, because it is DNS rebinding', async () => {
    for (const host of ['example.com', `example.com:${fixture.host.port}`, '127.0.0.1.example.com', 'a b']) {
      expect([host, await send('GET', '/admin/functions', { host })]).toEqual([host, 403]);
      const headers = { host, origin: `http://${host}`, ...JSON_TYPE };
      expect([host, await send('POST', '/admin/functions/job', headers, '{}')]).toEqual([host, 403]);
    }
    expect(eventsOf('job')).toEqual([]);
  });

  it('accept a write in JSON from a program on this machine, or from a page that the host itself serves', async () => {
    const port = String(fixture.host.port);
    for (const [index, host] of [own(), `localhost:${port}`, `[::1]:${port}`].entries()) {
      expect(await send('GET', '/admin/functions', { host })).toBe(200);
      const headers = { host, origin: `http://${host}`, ...JSON_TYPE };
      expect(await send('POST', '/admin/functions/job', headers, '{"input":""}')).toBe(202);
      await until('the run', () => eventsOf('job').length === index + 1);
    }
  });
});
