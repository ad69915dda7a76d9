import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readApiDocument, type Operation } from './harness/api-document.ts';
import { startTestApp, type TestAnswer } from './harness/app.ts';
import { openPersonsSession } from './harness/people.ts';

const app = await startTestApp();
const { acme, operator } = app.keys;
const { operations } = await readApiDocument(app);
const NO_ID = '00000000-0000-7000-8000-000000000000';

const mapping = { detector: 'regex-pii', source_data: 'SSN 123-45-6789', model_version: 'v1' };
const person = await openPersonsSession(app, 'acme', 'viewer');
const keyFor = ({ permission }: Operation): string => {
  if (permission === 'person') return person.token;
  return permission === 'platform:operate' ? operator : acme.owner;
};
const pathOf = ({ path }: Operation): string => path.replaceAll(/\{\w+\}/g, NO_ID);

/** A request with another `Host`, which fetch does not allow. */
function askAs(host: string, path: string): Promise<{ headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const { port } = new URL(app.baseUrl);
    const headers = { host, authorization: `Bearer ${acme.reader}` };
    const sent = httpRequest({ host: '127.0.0.1', port, path, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() });
      });
    });
    sent.on('error', reject).end();
  });
}

describe('the API’s own address', () => {
  it('is the configured one in links and in the document, with any Host of the request', async () => {
    for (let n = 0; n < 2; n++)
      await app.request('POST', '/api/v1/mappings', { key: acme.writer, body: mapping });
    const list = await askAs('evil.example', '/api/v1/mappings?limit=1');
    expect(String(list.headers['link'])).toContain(`<${app.baseUrl}/api/v1/mappings?limit=1&cursor=`);
    const { body } = await askAs('evil.example', '/api/openapi.json');
    expect(body).not.toContain('evil.example');
  });
});

describe('a compressed body', () => {
  const post = (raw: Uint8Array<ArrayBuffer>, encoding: string): Promise<TestAnswer> =>
    app.request('POST', '/api/v1/mappings', {
      key: acme.writer,
      raw,
      headers: { 'content-encoding': encoding },
    });
  const zipped = (value: unknown) => Buffer.from(gzipSync(JSON.stringify(value)));

  it.each(['gzip', 'GZIP', 'x-gzip'])('is taken as %s', async (encoding) => {
    const answer = await post(zipped(mapping), encoding);
    expect(answer.status).toBe(201);
    const read = await app.request('GET', `/api/v1/mappings/${answer.body.request_id}`, { key: acme.reader });
    expect(read.body).toMatchObject({ detector: 'regex-pii' });
  });

  it('is limited by its uncompressed size: a bomb is 413, and not decompressed in full', async () => {
    const bomb = Buffer.from(gzipSync(Buffer.alloc(200 * 1024 * 1024, 32)));
    expect(bomb.length).toBeLessThan(256 * 1024);
    const before = process.memoryUsage().rss;
    const answer = await post(bomb, 'gzip');
    expect([answer.status, answer.body.code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  });

  it.each([
    ['no gzip', Buffer.from('{}')],
    ['cut short', zipped(mapping).subarray(0, 40)],
  ])('that is %s is 400 and says so', async (_what, raw) => {
    const answer = await post(raw, 'gzip');
    expect([answer.status, answer.body.errors]).toEqual([400, [{ pointer: '', detail: 'is not gzip' }]]);
  });

  it('in another encoding is 415, which names the supported one', async () => {
    const answer = await post(Buffer.from(brotliCompressSync(JSON.stringify(mapping))), 'br');
    expect([answer.status, answer.headers.get('accept-encoding')]).toEqual([415, 'gzip']);
    expect(answer.body.detail).toContain('gzip');
  });
});

describe('HEAD', () => {
  /** Headers that differ from one answer to the next, and those of the connection, which this client ends after HEAD. */
  const OWN = ['connection', 'keep-alive', 'date', 'traceparent', 'x-ms-request-id', 'ratelimit', 'etag'];
  const headersOf = ({ headers }: TestAnswer): Record<string, string> =>
    Object.fromEntries([...headers].filter(([name]) => !OWN.includes(name)));

  const TRIES = 40;

  it.each(operations.filter(({ method }) => method === 'GET').map((operation) => [operation.id, operation]))(
    'works where GET does, with its status and headers and no body: %s',
    async (_id, operation) => {
      const ask = async (): Promise<readonly string[]> => {
        const [get, head] = await Promise.all(
          ['GET', 'HEAD'].map((method) => app.request(method, pathOf(operation), { key: keyFor(operation) })),
        );
        if (get === undefined || head === undefined) throw new Error('no answer');
        expect([head.status, head.body]).toEqual([get.status, '']);
        const { 'content-length': length = '', ...rest } = headersOf(get);
        const { 'content-length': headLength = '', ...headRest } = headersOf(head);
        expect(headRest).toEqual(rest);
        expect(Number(headLength)).toBeGreaterThan(0);
        return [headLength, length];
      };
      let [headLength, length] = await ask();
      // Answers with times and latencies differ in length.
      if (/health|openapi|jobs/.test(operation.path)) return;
      // The app's own metrics have sums of times, which get or lose a digit from one request to the next, but not each time.
      for (let again = 0; headLength !== length && again < TRIES; again++) [headLength, length] = await ask();
      expect(headLength).toBe(length);
    },
  );

  it('is in the Allow of a 405 where GET is', async () => {
    const list = await app.request('DELETE', '/api/v1/mappings', { key: acme.owner });
    expect([list.status, list.headers.get('allow')]).toEqual([405, 'POST, GET, HEAD']);
    const write = await app.request('HEAD', `/api/v1/jobs/${NO_ID}/cancel`, { key: acme.owner });
    expect([write.status, write.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('a query parameter that a route does not know', () => {
  it.each(operations.map((operation) => [operation.id, operation]))('is 400: %s', async (_id, operation) => {
    const answer = await app.request(operation.method, `${pathOf(operation)}?colour=red`, {
      key: keyFor(operation),
      // An ordinary client's request. The fault in the query is reported together with the other faults.
      headers: { 'if-match': '*' },
      ...(operation.body === undefined ? {} : { raw: '{}' }),
    });
    expect([answer.status, answer.body.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(answer.body.errors).toContainEqual({ pointer: 'query/colour', detail: 'is not a known field' });
  });

  it.each(['__proto__', 'constructor'])('is 400 as %s too', async (name) => {
    const answer = await app.request('GET', `/api/v1/mappings?${name}=1`, { key: acme.reader });
    expect(answer.status).toBe(400);
    expect(answer.body.errors[0].pointer).toBe(`query/${name}`);
  });
});

describe('a page of large rows', () => {
  it('ends before it is too large, and the next page continues: no row is lost or repeated', async () => {
    const key = await app.makeKey('globex', ['mappings:read']);
    await app.admin.core`
      insert into mapper_requests (tenant_id, request_id, detector, source_data, encryption_key_id, model_version,
        metadata, created_at, expires_at)
      select 'globex', gen_random_uuid(), 'large', '', gen_random_uuid(), 'v1', jsonb_build_object('pad', repeat('x', 240000)),
             now() - n * interval '1 second', now() + interval '1 day'
        from generate_series(1, 40) n`;
    const seen: string[] = [];
    let path: string | undefined = '/api/v1/mappings?limit=500&detector=large';
    let pages = 0;
    while (path !== undefined) {
      const page: TestAnswer = await app.request('GET', path, { key });
      expect(page.status).toBe(200);
      expect(JSON.stringify(page.body).length).toBeLessThan(4.1 * 1024 * 1024);
      seen.push(...page.body.items.map((item: { request_id: string }) => item.request_id));
      path = /<([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
      pages += 1;
    }
    expect([seen.length, new Set(seen).size, pages]).toEqual([40, 40, 3]);
  });
});
