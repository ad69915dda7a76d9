import { faultsOf, PARSING } from '../call/faults.ts';
import { findUnstorable, PROTO, PROTO_FAULT } from '../json/unstorable.ts';
import { isAscii } from 'node:buffer';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import type { GivenParts } from '../call/named-tenants.ts';
import { Problem, type Fault } from '../call/problem.ts';

function invalid(errors: readonly Fault[], detail?: string): Problem {
  return new Problem('INVALID_REQUEST', detail === undefined ? { errors } : { errors, detail });
}

/** Reads a route's body: as JSON, or as bytes for a raw body; undefined for a route without a body. */
export async function readBodyOf(
  endpoint: Pick<Endpoint, 'body' | 'rawBody' | 'bodyLimit'>,
  request: HttpRequest,
): Promise<unknown> {
  if (endpoint.rawBody) return readBytes(request, endpoint.bodyLimit);
  if (endpoint.body === undefined) return undefined;
  return readBody(request, endpoint.bodyLimit, mayBeAbsent(endpoint.body));
}

/** The bytes as they were sent. `request.text()` would remove a byte order mark and replace invalid UTF-8. */
async function readBytes(request: HttpRequest, limit: number): Promise<Buffer> {
  if (Number(request.headers.get('content-length') ?? 0) > limit) throw tooLarge(limit);
  const bytes = Buffer.from(await request.arrayBuffer());
  if (bytes.length > limit) throw tooLarge(limit);
  return bytes;
}

/**
 * Reads a JSON body within a limit; undefined for an empty body if the route's schema allows that. A gzip body is decoded,
 * and the limit applies before and after.
 * @throws Problem 413, 415, or 400 for a body that is not JSON, not UTF-8, nested too deeply, or cannot be stored.
 */
async function readBody(request: HttpRequest, limit: number, mayBeEmpty = false): Promise<unknown> {
  const mediaType = request.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  const bytes = await readBytes(request, limit);
  if (mayBeEmpty && bytes.length === 0) return undefined;
  if (mediaType !== 'application/json')
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', { detail: 'Send application/json.' });
  return parseJson(await decode(bytes, request.headers.get('content-encoding'), limit));
}

const unzip = promisify(gunzip);

/**
 * @throws Problem 415 for an encoding other than gzip, 413 as soon as the decoded body is over the limit, 400 for invalid
 * gzip.
 */
async function decode(bytes: Buffer, encoding: string | null, limit: number): Promise<Buffer> {
  switch (encoding?.trim().toLowerCase() ?? '') {
    case '':
    case 'identity':
      return bytes;
    case 'gzip':
    case 'x-gzip':
      break;
    default:
      throw new Problem('UNSUPPORTED_MEDIA_TYPE', {
        detail: 'Send the body as it is, or with Content-Encoding: gzip.',
        headers: { 'accept-encoding': 'gzip' },
      });
  }
  try {
    return await unzip(bytes, { maxOutputLength: limit });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(limit);
    throw invalid(
      [{ pointer: '', detail: 'is not gzip' }],
      'The body is not the gzip that Content-Encoding says.',
    );
  }
}

function tooLarge(limit: number): Problem {
  return new Problem('PAYLOAD_TOO_LARGE', { detail: `The body may have ${limit} bytes.` });
}

const absentBodies = new WeakMap<z.ZodType, boolean>();

/** Whether a route's body may be absent. Computed once for each schema. */
function mayBeAbsent(schema: z.ZodType): boolean {
  let may = absentBodies.get(schema);
  if (may === undefined) {
    may = schema.safeParse(undefined).success;
    absentBodies.set(schema, may);
  }
  return may;
}

/** The query of a route without query parameters. */
const NO_QUERY = z.strictObject({});

const strictQueries = new WeakMap<z.ZodObject, z.ZodType>();

/** A query's schema that refuses unknown parameters. Made once, because making it costs more than parsing with it. */
function strictQuery(schema: z.ZodObject): z.ZodType {
  let strict = strictQueries.get(schema);
  if (strict === undefined) {
    strict = schema.strict();
    strictQueries.set(schema, strict);
  }
  return strict;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(bytes: Buffer): unknown {
  let text: string;
  let value: unknown;
  try {
    text = isAscii(bytes) ? bytes.toString('latin1') : utf8.decode(bytes);
  } catch {
    throw invalid([{ pointer: '', detail: 'is not UTF-8' }], 'The body is not UTF-8.');
  }
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid([{ pointer: '', detail: 'is not JSON' }], 'The body is not JSON.');
  }
  // Only an escape can bring in what PostgreSQL's text cannot store, so the texts of ordinary bodies are not checked.
  const fault = findUnstorable(value, { texts: /\\u(0000|[dD][89a-fA-F])/.test(text) });
  if (fault !== undefined) throw invalid([fault]);
  return value;
}

/**
 * Parses path, query and body with the endpoint's schemas. A raw body passes unchanged.
 * @throws Problem 400 with all faults of all parts at once.
 */
export function parseParts(
  endpoint: Pick<Endpoint, 'params' | 'query' | 'body' | 'rawBody'>,
  given: GivenParts,
): { params: Readonly<Record<string, unknown>> | undefined; query: unknown; body: unknown } {
  const faults: Fault[] = [];
  const parse = <S extends z.ZodType>(
    schema: S | undefined,
    value: unknown,
    root: string,
  ): z.output<S> | undefined => {
    if (schema === undefined) return undefined;
    const parsed = schema.safeParse(value, PARSING);
    if (parsed.success) return parsed.data;
    faults.push(...faultsOf(parsed.error, root));
    return undefined;
  };
  const params = parse(endpoint.params, given.params, 'path');
  const query = parse(
    endpoint.query === undefined ? NO_QUERY : strictQuery(endpoint.query),
    given.query,
    'query',
  );
  const body = endpoint.rawBody ? given.body : parse(endpoint.body, given.body, '');
  for (const [root, values] of [
    ['path', given.params],
    ['query', given.query],
  ] as const) {
    for (const [name, value] of Object.entries(values)) {
      if (value.includes('\0')) faults.push({ pointer: `${root}/${name}`, detail: 'holds a NUL' });
      if (name === PROTO) faults.push({ pointer: `${root}/${name}`, detail: PROTO_FAULT });
    }
  }
  if (faults.length > 0) throw invalid(faults);
  return { params, query, body };
}
