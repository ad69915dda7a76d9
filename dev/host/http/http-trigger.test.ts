import { request as rawRequest } from 'node:http';
import { connect } from 'node:net';
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

const SOURCE = `
const all = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH'] as const;
app.http('echo', {
  route: 'v1/echo/{id}/{*rest}', methods: [...all],
  handler: async (request, context) => ({
    status: 201,
    headers: { 'x-own': 'yes', location: '/here' },
    jsonBody: {
      url: request.url, method: request.method, params: request.params, query: Object.fromEntries(request.query),
      headers: Object.fromEntries(request.headers), body: await request.text(), invocationId: context.invocationId,
      traceParent: context.traceContext?.traceParent,
    },
  }),
});
app.http('bytes', {
  route: 'bytes', methods: ['POST'],
  handler: async (request) => ({ body: await request.arrayBuffer(), headers: { 'content-type': 'application/octet-stream' } }),
});
app.http('cookies', { methods: ['GET'], handler: () => ({
  cookies: [
    { name: 'a', value: 'x y', httpOnly: true, sameSite: 'Strict', maxAge: 60 },
    { name: 'b', value: '2', path: '/p', secure: true, expires: new Date(1000), sameSite: 'None', domain: 'example.com' },
  ],
}) });
app.http('nothing', { methods: ['GET'], handler: () => undefined });
app.http('empty', { methods: ['GET'], handler: () => ({ status: 304, headers: { etag: '"1"' } }) });
app.http('throws', { methods: ['GET'], handler: () => { throw new Error('no luck today'); } });
app.http('badResult', { methods: ['GET'], handler: () => 5 as never });
app.http('badHeader', { methods: ['GET'], handler: () => ({ headers: { 'x-a': 'ok' }, cookies: [{ name: 'a', value: '1', path: 'a\\nb' }] }) });
app.http('off', { methods: ['GET'], handler: () => ({ status: 200 }) });
app.http('slow', { methods: ['GET'], handler: async () => {
  tell('slow', 'begun');
  await new Promise((resolve) => { (globalThis as any).releaseSlow = resolve; });
  return { body: 'done' };
} });
app.hook.appStart((context) => { tell('hooks', 'appStart'); context.hookData.seen = 1; });
app.hook.appTerminate((context) => { tell('hooks', 'appTerminate ' + context.hookData.seen); });
`;

describe('HTTP functions', () => {
  let app: FixtureApp;
  let fixture: FixtureHost;
  beforeAll(async () => {
    app = await buildFixtureApp(SOURCE);
    clearEvents();
    fixture = await startFixture(app, { settings: { 'AzureWebJobs.off.Disabled': 'true' } });
  });
  beforeEach(() => clearEvents());
  afterAll(async () => {
    await fixture.host.stop();
    app.remove();
  });

  it('gives a function url, method, parameters, query, headers and body as Azure does', async () => {
    const response = await fetch(`${fixture.base}/api/v1/Echo/a%20b/x/y?Tag=1&tag=2&plus=a+b&empty=&%zz=1`, {
      method: 'POST',
      headers: { 'X-Mixed': 'Case', traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` },
      body: '{"é":1}',
    });
    expect(response.status).toBe(201);
    expect(response.headers.get('x-own')).toBe('yes');
    expect(response.headers.get('content-type')).toBe('application/json');
    const seen = (await response.json()) as Record<string, Record<string, string>>;
    expect(seen).toMatchObject({
      url: `${fixture.base}/api/v1/Echo/a%20b/x/y?Tag=1&tag=2&plus=a+b&empty=&%zz=1`,
      method: 'POST',
      params: { id: 'a b', rest: 'x/y' },
      query: { Tag: '1,2', plus: 'a b', empty: '', '%zz': '1' },
      body: '{"é":1}',
      traceParent: expect.stringMatching(/^00-(ab){16}-(?!cdcd)[0-9a-f]{16}-01$/) as string,
    });
    expect(seen['headers']).toMatchObject({ 'x-mixed': 'Case', 'content-length': '8' });
  });

  it('joins a header that comes several times with commas', async () => {
    const body = await new Promise<string>((resolve, reject) => {
      const options = { port: fixture.host.port, path: '/api/v1/echo/1', headers: { 'X-Many': ['a', 'b'] } };
      const request = rawRequest(options, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(text));
      });
      request.on('error', reject).end();
    });
    expect(JSON.parse(body)).toMatchObject({ params: { id: '1' }, headers: { 'x-many': 'a,b' } });
  });

  it('keeps every byte of a body in both directions', async () => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256);
    const response = await fetch(`${fixture.base}/api/bytes`, { method: 'POST', body: bytes });
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    expect(response.headers.get('content-length')).toBe('300000');
  });

  it('reads a body that comes in chunks', async () => {
    const body = new Blob(['one ', 'two']).stream();
    const response = await fetch(`${fixture.base}/api/bytes`, {
      method: 'POST',
      body,
      duplex: 'half',
    });
    expect(await response.text()).toBe('one two');
  });

  it('writes cookies as ASP.NET does', async () => {
    const response = await fetch(`${fixture.base}/api/cookies`);
    expect(response.headers.getSetCookie()).toEqual([
      'a=x%20y; max-age=60; path=/; samesite=strict; httponly',
      'b=2; expires=Thu, 01 Jan 1970 00:00:01 GMT; domain=example.com; path=/p; secure; samesite=none',
    ]);
  });

  it('answers 204 for no result and sends no body with 304 or to HEAD', async () => {
    expect((await fetch(`${fixture.base}/api/nothing`)).status).toBe(204);
    const notModified = await fetch(`${fixture.base}/api/empty`);
    expect([notModified.status, notModified.headers.get('etag')]).toEqual([304, '"1"']);
    const head = await fetch(`${fixture.base}/api/v1/echo/1/2`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([201, '']);
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100);
  });

  it('answers 404 for an unknown path, another method, and a disabled function', async () => {
    for (const [path, method] of [
      ['/api/none', 'GET'],
      ['/api/bytes', 'GET'],
      ['/v1/echo/1', 'GET'],
      ['/api/off', 'GET'],
    ] as const) {
      const response = await fetch(fixture.base + path, { method });
      expect([path, response.status, await response.text()]).toEqual([path, 404, '']);
    }
  });

  it('answers 500 without a body when the handler throws or its result cannot be sent, and logs why', async () => {
    for (const name of ['throws', 'badResult', 'badHeader']) {
      const response = await fetch(`${fixture.base}/api/${name}`);
      expect([name, response.status, await response.text()]).toEqual([name, 500, '']);
      expect(fixture.lines.some((line) => line.level === 'error' && line.source === name)).toBe(true);
    }
    expect(fixture.lines.find((line) => line.source === 'throws')?.message).toMatch(/no luck today\n +at /);
  });

  it('refuses a body above 100 MB before reading it', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(fixture.host.port, '127.0.0.1');
      socket.on('error', reject).on('data', (chunk) => {
        socket.destroy();
        resolve(chunk.toString());
      });
      socket.write('POST /api/bytes HTTP/1.1\r\nhost: x\r\ncontent-length: 104857601\r\n\r\n');
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/connection: close/i);
  });

  it('lists functions and runs one by hand under /admin', async () => {
    expect(await (await fetch(`${fixture.base}/admin/host/status`)).json()).toMatchObject({
      state: 'Running',
    });
    const listed = (await (await fetch(`${fixture.base}/admin/functions`)).json()) as { name: string }[];
    expect(listed.map((fn) => fn.name)).toContain('slow');
    const post = (path: string, body: string): Promise<Response> =>
      fetch(fixture.base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const run = await post('/admin/functions/slow', '{"input":"x"}');
    expect(run.status).toBe(202);
    await until('the function to run', () => eventsOf('slow').length > 0);
    (globalThis as { releaseSlow?: () => void }).releaseSlow?.();
    expect((await post('/admin/functions/none', '{}')).status).toBe(404);
    expect((await post('/admin/functions/slow', '{')).status).toBe(400);
  });

  it('takes the next port when the wanted one is in use', async () => {
    const second = await startFixture(app, { port: fixture.host.port });
    expect(second.host.port).toBeGreaterThan(fixture.host.port);
    await second.host.stop();
  });

  it('finishes a running request before it stops, and runs the hooks around the app', async () => {
    const own = await startFixture(app);
    const answer = fetch(`${own.base}/api/slow`);
    await until('the request to be running', () => eventsOf('slow').length > 0);
    const stopped = own.host.stop();
    await until('the port to be closed', async () =>
      fetch(`${own.base}/api/nothing`).then(
        () => false,
        () => true,
      ),
    );
    expect(eventsOf('hooks')).toEqual(['appStart']);
    (globalThis as { releaseSlow?: () => void }).releaseSlow?.();
    expect(await (await answer).text()).toBe('done');
    await stopped;
    expect(eventsOf('hooks')).toEqual(['appStart', 'appTerminate 1']);
  });
});

describe('an app with hooks around its invocations', () => {
  it('lets them change inputs, handler, result and error', async () => {
    const app = await buildFixtureApp(
      `
      app.http('one', { methods: ['GET'], handler: async (_, context) => { context.log('mine'); throw new Error('swallowed'); } });
      app.hook.preInvocation((context) => { context.hookData.mark = 'm'; context.invocationContext.extraInputs.set('k', 1); });
      app.hook.postInvocation((context) => {
        tell('post', [context.hookData.mark, context.error.message, context.invocationContext.extraInputs.get('k')]);
        context.error = null; context.result = { body: 'repaired' };
      });
      app.hook.log((context) => { context.message = context.message.toUpperCase(); });
      `,
      { extensions: { http: { routePrefix: '' } } },
    );
    clearEvents();
    const fixture = await startFixture(app);
    try {
      expect(await (await fetch(`${fixture.base}/one`)).text()).toBe('repaired');
      expect(eventsOf('post')).toEqual([['m', 'swallowed', 1]]);
      expect(fixture.lines).toContainEqual({ level: 'information', source: 'one', message: 'MINE' });
    } finally {
      await fixture.host.stop();
      app.remove();
    }
  });
});

describe('functionTimeout', () => {
  it('ends the wait for a handler that takes longer', async () => {
    const app = await buildFixtureApp(
      `app.http('never', { methods: ['GET'], handler: () => new Promise(() => {}) });`,
      { functionTimeout: '00:00:00.100' },
    );
    const fixture = await startFixture(app);
    try {
      expect((await fetch(`${fixture.base}/api/never`)).status).toBe(500);
    } finally {
      await fixture.host.stop();
      app.remove();
    }
  });
});

describe('an app that Azure would refuse', () => {
  async function startOf(source: string, hostJson: object = {}): Promise<unknown> {
    const app = await buildFixtureApp(source, hostJson);
    try {
      const { host } = await startFixture(app);
      await host.stop();
      return undefined;
    } catch (error) {
      return error;
    } finally {
      app.remove();
    }
  }

  it('is refused with the reason', async () => {
    const http = (options: string, name = 'f'): string =>
      `app.http('${name}', { ${options}, handler: () => ({}) });`;
    const cases: [string, string][] = [
      [http(`route: 'admin/users'`), 'begins with "admin"'],
      [http(`methods: ['GET']`, 'runtimeInfo'), 'begins with "admin" or "runtime"'],
      [http(`route: 'a'`, 'f') + http(`route: 'b'`, 'F'), 'Two functions are named'],
      [http(`route: 'a/{x:odd}'`), 'no route constraint'],
      [`app.setup({ enableHttpStream: true }); ${http(`route: 'a'`)}`, 'HTTP streaming'],
      ['throw new Error("broken at load");', 'broken at load'],
      ['', 'registered no functions'],
      [`app.timer('t', { schedule: 'soon', handler: () => {} });`, 'neither six NCRONTAB fields'],
      [
        `app.timer('t', { schedule: '%NOT_SET_AT_ALL%', handler: () => {} });`,
        `'%NOT_SET_AT_ALL%' does not resolve`,
      ],
      [
        `app.serviceBusQueue('q', { connection: 'NOT_SET', queueName: 'q', handler: () => {} });`,
        `no app setting 'NOT_SET'`,
      ],
    ];
    for (const [source, reason] of cases) expect(String(await startOf(source))).toContain(reason);
    expect(String(await startOf(http(`route: 'a'`), { functionTimeout: 'long' }))).toContain('span of time');
  });
});
