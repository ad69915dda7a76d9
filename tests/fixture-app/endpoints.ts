import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ok } from '../../shared/platform/call/reply.ts';
import { Problem } from '../../shared/platform/call/problem.ts';
import { endpoint, publicEndpoint, type Endpoint } from '../../shared/platform/http/endpoint.ts';
import { openApiDocument } from '../../shared/platform/http/openapi.ts';

const received = z.object({ bytes: z.number().int(), hex: z.string() });

/** A small limit, so that a test can exceed it with few bytes. */
const WEBHOOK_LIMIT = 1024;

/** The fixture's webhook signature: a hash of the bytes. */
export function signatureOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Routes of kinds that the app itself does not have yet. */
export const fixtureEndpoints = (environment: () => string, all: () => readonly Endpoint[]) => [
  endpoint({
    name: 'uploads-create',
    method: 'POST',
    path: 'v1/uploads',
    tag: 'fixture',
    summary: 'Takes bytes from a caller',
    permission: 'config:write',
    rawBody: true,
    responses: { 200: { description: 'What came.', schema: received } },
    run: (_call, { body }) => Promise.resolve(ok({ bytes: body.length, hex: body.toString('hex') })),
  }),
  publicEndpoint({
    name: 'webhooks-receive',
    method: 'POST',
    path: 'webhooks/{source}',
    tag: 'fixture',
    summary: 'Takes signed bytes from anyone',
    params: z.object({ source: z.enum(['stripe']) }),
    query: z.object({ live: z.stringbool().default(false) }),
    rawBody: true,
    rawBodyType: 'application/json',
    bodyLimit: WEBHOOK_LIMIT,
    responses: {
      200: {
        description: 'What came.',
        schema: received.extend({ source: z.string(), live: z.boolean(), environment: z.string() }),
      },
    },
    run: ({ params, query, body, header }) => {
      if (header('Webhook-Signature') !== signatureOf(body)) {
        throw new Problem('INVALID_REQUEST', { detail: 'The signature does not cover these bytes.' });
      }
      const seen = { bytes: body.length, hex: body.toString('hex'), environment: environment() };
      return Promise.resolve(ok({ ...seen, ...params, ...query }));
    },
  }),
  publicEndpoint({
    name: 'echoes-create',
    method: 'POST',
    path: 'echoes',
    tag: 'fixture',
    summary: 'Takes JSON from anyone',
    body: z.strictObject({ text: z.string() }),
    responses: { 200: { description: 'The same.', schema: z.object({ text: z.string() }) } },
    run: ({ body }) => Promise.resolve(ok(body)),
  }),
  publicEndpoint({
    name: 'openapi-read',
    method: 'GET',
    path: 'openapi.json',
    tag: 'fixture',
    summary: 'This fixture as OpenAPI 3.1',
    responses: { 200: { description: 'The document.', schema: z.record(z.string(), z.unknown()) } },
    run: () => {
      const words = { version: '0', serverUrl: 'http://127.0.0.1', description: '', tags: [] };
      return Promise.resolve(ok<Record<string, unknown>>(openApiDocument(all(), words)));
    },
  }),
];
