import { describe, expect, it } from 'vitest';
import { signatureOf } from './fixture-app/endpoints.ts';
import { readApiDocument } from './harness/api-document.ts';
import { startTestApp, type TestAnswer } from './harness/app.ts';

const app = await startTestApp({ app: 'fixture-app' });
const { document, operations } = await readApiDocument(app);

/** A byte order mark, JSON, and bytes that are not UTF-8: a conversion to text would change them. */
const BYTES = new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d, 0xff, 0xfe, 0x00, 0xc3, 0x28]);
const HEX = Buffer.from(BYTES).toString('hex');

const webhook = (raw: Uint8Array<ArrayBuffer>, query = '', headers = {}): Promise<TestAnswer> =>
  app.request('POST', `/api/webhooks/stripe${query}`, {
    raw,
    headers: { 'webhook-signature': signatureOf(raw), ...headers },
  });

describe('a raw body', () => {
  it('reaches a public route unchanged, byte for byte, with any media type', async () => {
    for (const type of ['application/json', 'application/octet-stream', 'text/plain; charset=utf-16']) {
      const answer = await webhook(BYTES, '?live=true', { 'content-type': type });
      expect([answer.status, answer.body]).toEqual([
        200,
        { bytes: BYTES.length, hex: HEX, source: 'stripe', live: true, environment: 'local' },
      ]);
    }
  });

  it('reaches a route with a credential unchanged, and the credential is still required', async () => {
    const answer = await app.request('POST', '/api/v1/uploads', { key: app.keys.acme.writer, raw: BYTES });
    expect([answer.status, answer.body]).toEqual([200, { bytes: BYTES.length, hex: HEX }]);
    const nobody = await app.request('POST', '/api/v1/uploads', { raw: BYTES });
    expect(nobody.status).toBe(401);
    const reader = await app.request('POST', '/api/v1/uploads', { key: app.keys.acme.reader, raw: BYTES });
    expect(reader.status).toBe(403);
  });

  it('may be empty', async () => {
    const answer = await webhook(new Uint8Array());
    expect([answer.status, answer.body.bytes]).toEqual([200, 0]);
  });

  it('above the route’s limit is 413, with a credential and without', async () => {
    const fitting = await webhook(new Uint8Array(1024));
    const large = await webhook(new Uint8Array(1025));
    expect([fitting.status, large.status, large.body.code]).toEqual([200, 413, 'PAYLOAD_TOO_LARGE']);
    const raw = new Uint8Array(256 * 1024 + 1);
    const upload = await app.request('POST', '/api/v1/uploads', { key: app.keys.acme.writer, raw });
    expect([upload.status, upload.body.code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
  });

  it('is described only by its media type', () => {
    const content = (path: string): unknown => document.paths[path].post.requestBody.content;
    expect(content('/api/v1/uploads')).toEqual({ 'application/octet-stream': {} });
    expect(content('/api/webhooks/{source}')).toEqual({ 'application/json': {} });
  });
});

describe('a public route', () => {
  it('has its path, query and body parsed like any other', async () => {
    const path = await app.request('POST', '/api/webhooks/unknown', { raw: BYTES });
    expect([path.status, path.body.errors[0].pointer]).toEqual([400, 'path/source']);
    const query = await webhook(BYTES, '?live=perhaps');
    expect([query.status, query.body.errors[0].pointer]).toEqual([400, 'query/live']);
    const unknown = await webhook(BYTES, '?colour=red');
    expect([unknown.status, unknown.body.errors[0].pointer]).toEqual([400, 'query/colour']);
    const good = await app.request('POST', '/api/echoes', { body: { text: 'é' } });
    expect([good.status, good.body]).toEqual([200, { text: 'é' }]);
    const bad = await app.request('POST', '/api/echoes', { body: { text: 7, more: 1 } });
    expect(bad.body.errors.map((fault: { pointer: string }) => fault.pointer)).toEqual(['/text', '/more']);
    const type = await app.request('POST', '/api/echoes', {
      body: {},
      headers: { 'content-type': 'text/plain' },
    });
    expect(type.status).toBe(415);
  });

  it('refuses with a problem, and documents its refusals', async () => {
    const unsigned = await app.request('POST', '/api/webhooks/stripe', { raw: BYTES });
    expect([unsigned.status, unsigned.body.code]).toEqual([400, 'INVALID_REQUEST']);
    expect(unsigned.headers.get('content-type')).toBe('application/problem+json');
    const told = (id: string): number[] => [
      ...(operations.find((operation) => operation.id === id)?.responses.keys() ?? []),
    ];
    expect(told('webhooks-receive').sort()).toEqual([200, 400, 404, 413, 500, 503]);
    expect(told('echoes-create').sort()).toEqual([200, 400, 413, 415, 500, 503]);
    expect(told('openapi-read').sort()).toEqual([200, 400, 500]);
  });
});
