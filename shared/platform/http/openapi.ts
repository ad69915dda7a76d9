import { z } from 'zod';
import { PERMISSIONS } from '../auth/permissions.ts';
import { SESSION_COOKIE } from '../auth/session-token.ts';
import type { Endpoint, PublicEndpoint, ResponseDefinition } from './endpoint.ts';
import { problemDocument } from './fields.ts';
import { PROBLEM_CODES, PROBLEM_MEDIA_TYPE, type ProblemCode } from '../call/problem.ts';

type Json = Record<string, unknown>;

/** The schema of what clients send: a field with a default is optional. */
function inputSchema(schema: z.ZodType): Json {
  return strip(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', target: 'draft-2020-12' }));
}

/** The schema of what we answer: it allows unknown fields, because fields may be added later. */
function outputSchema(schema: z.ZodType): Json {
  return strip(
    z.toJSONSchema(schema, {
      io: 'output',
      unrepresentable: 'any',
      target: 'draft-2020-12',
      override: ({ jsonSchema }) => {
        if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      },
    }),
  );
}

function strip(schema: object): Json {
  const { $schema: _dialect, ...rest } = schema as Json;
  return rest;
}

const asObject = (value: unknown): Json =>
  typeof value === 'object' && value !== null ? (value as Json) : {};

/**
 * The members of an object schema as OpenAPI parameters. A URL's value is text, but the schema describes the parsed value.
 */
function parameters(schema: z.ZodObject | undefined, where: 'path' | 'query'): Json[] {
  if (schema === undefined) return [];
  const required = new Set((inputSchema(schema)['required'] as string[] | undefined) ?? []);
  return Object.entries(asObject(outputSchema(schema)['properties'])).map(([name, property]) => {
    const { description, ...rest } = asObject(property);
    return {
      name,
      in: where,
      required: where === 'path' || required.has(name),
      ...(description === undefined ? {} : { description }),
      schema: rest,
    };
  });
}

const text = (description: string): Json => ({ description, schema: { type: 'string' } });

const HEADERS: Readonly<Record<string, Json>> = {
  Location: text('The path of what was created.'),
  Link: text('`<…>; rel="next"`; absent on the last page.'),
  ETag: text('The version, for If-Match and If-None-Match.'),
  'Idempotency-Replayed': text('`true` when this is the first answer again.'),
  'Billing-Standing': text(
    'Only while a payment is overdue. `past_due; grace-ends="<RFC 3339>"`: everything works until then. `read_only`: only reads and the billing routes work, until the tenant has paid.',
  ),
  'Set-Cookie': text('The session’s cookie, or its removal.'),
  'Retry-After': text('Seconds to wait before the request is sent again.'),
  'WWW-Authenticate': text('How to authenticate.'),
};

/** A header of every answer with a credential is described once. */
const BILLING_STANDING_REF: Json = { $ref: '#/components/headers/Billing-Standing' };

/** Headers of a status, the same for every route. */
const PROBLEM_HEADERS: Readonly<Record<number, string>> = {
  401: 'WWW-Authenticate',
  402: 'Billing-Standing',
  429: 'Retry-After',
  503: 'Retry-After',
};

function response(definition: ResponseDefinition, endpoint: Endpoint): Json {
  const names = [
    ...(definition.headers ?? []),
    ...(endpoint.method === 'POST' && endpoint.permission !== null ? ['Idempotency-Replayed'] : []),
  ];
  const headers = {
    ...Object.fromEntries(names.map((name) => [name, HEADERS[name] ?? text(name)])),
    ...(endpoint.permission === null ? {} : { 'Billing-Standing': BILLING_STANDING_REF }),
  };
  const contentType = definition.contentType ?? 'application/json';
  const schema = definition.schema === undefined ? {} : outputSchema(definition.schema);
  return {
    description: definition.description,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(definition.schema === undefined && definition.contentType === undefined
      ? {}
      : { content: { [contentType]: { schema } } }),
  };
}

/** A public route refuses unknown query parameters. A route with input can also answer that a part is missing. */
function publicProblemStatuses({ method, params, query, body, rawBody, problems }: PublicEndpoint): number[] {
  const hasBody = body !== undefined || rawBody;
  const takesInput = params !== undefined || query !== undefined || hasBody || method !== 'GET';
  const codes: ProblemCode[] = ['INVALID_REQUEST', 'INTERNAL_ERROR', ...problems];
  if (takesInput) codes.push('DEPENDENCY_UNAVAILABLE');
  if (params !== undefined) codes.push('NOT_FOUND');
  if (hasBody) codes.push('PAYLOAD_TOO_LARGE');
  if (body !== undefined) codes.push('UNSUPPORTED_MEDIA_TYPE');
  return [...new Set(codes.map((code) => PROBLEM_CODES[code][0]))].sort();
}

/** The problems that follow from a route's definition alone. */
function problemStatuses(endpoint: Endpoint): number[] {
  if (endpoint.permission === null) return publicProblemStatuses(endpoint);
  const codes: ProblemCode[] = [
    'INVALID_REQUEST',
    'UNAUTHORIZED',
    'INSUFFICIENT_RBAC',
    'RATE_LIMITED',
    'INTERNAL_ERROR',
    'DEPENDENCY_UNAVAILABLE',
  ];
  if (endpoint.params !== undefined) codes.push('NOT_FOUND');
  if (endpoint.rawBody) codes.push('PAYLOAD_TOO_LARGE');
  if (endpoint.body !== undefined) codes.push('PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE');
  if (endpoint.method !== 'GET') codes.push('QUOTA_EXCEEDED', 'CONFLICT');
  if (endpoint.ifMatch !== undefined) codes.push('PRECONDITION_FAILED');
  if (endpoint.method === 'POST') codes.push('IDEMPOTENCY_MISMATCH');
  return [...new Set(codes.map((code) => PROBLEM_CODES[code][0]))].sort();
}

function headerParameters(endpoint: Endpoint): Json[] {
  const header = (name: string, description: string, required = false): Json[] => [
    { name, in: 'header', required, description, schema: { type: 'string' } },
  ];
  return [
    ...(endpoint.method === 'POST' && endpoint.permission !== null
      ? header('Idempotency-Key', 'Makes the request repeatable for 24 hours; quoted or bare.')
      : []),
    ...(endpoint.responses[304] === undefined ? [] : header('If-None-Match', 'An ETag that the client has.')),
    ...(endpoint.ifMatch === undefined
      ? []
      : header('If-Match', 'The ETag that the change is based on.', endpoint.ifMatch === 'required')),
  ];
}

function requestBody(endpoint: Endpoint): Json {
  // OpenAPI 3.1 describes bytes only by their media type.
  if (endpoint.rawBody) return { requestBody: { required: true, content: { [endpoint.rawBodyType]: {} } } };
  if (endpoint.body === undefined) return {};
  const content = { 'application/json': { schema: inputSchema(endpoint.body) } };
  return { requestBody: { required: !endpoint.body.safeParse(undefined).success, content } };
}

function operation(endpoint: Endpoint): Json {
  const problems = problemStatuses(endpoint).filter((status) => endpoint.responses[status] === undefined);
  return {
    operationId: endpoint.name,
    tags: [endpoint.tag],
    summary: endpoint.summary,
    ...(endpoint.description === undefined ? {} : { description: endpoint.description }),
    ...(endpoint.permission === null ? { security: [] } : { 'x-permission': endpoint.permission }),
    parameters: [
      ...parameters(endpoint.params, 'path'),
      ...parameters(endpoint.query, 'query'),
      ...headerParameters(endpoint),
    ],
    ...requestBody(endpoint),
    responses: {
      ...Object.fromEntries(
        Object.entries(endpoint.responses).map(([status, definition]) => [
          status,
          response(definition, endpoint),
        ]),
      ),
      ...Object.fromEntries(
        problems.map((status) => [String(status), { $ref: `#/components/responses/Problem${status}` }]),
      ),
    },
  };
}

function headersOf(name: string | undefined): Json {
  return name === undefined ? {} : { headers: { [name]: HEADERS[name] } };
}

function problemResponses(): Json {
  const byStatus = new Map<number, string[]>();
  for (const [code, [status]] of Object.entries(PROBLEM_CODES))
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      `Problem${status}`,
      {
        description: codes.join(', '),
        ...headersOf(PROBLEM_HEADERS[status]),
        content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

/** The groups of the endpoints, in the order of the described ones. */
function tagsOf(endpoints: readonly Endpoint[], described: readonly DescribedTag[]): Json[] {
  const used = new Set(endpoints.map((endpoint) => endpoint.tag));
  const known = described.filter(({ name }) => used.delete(name)).map((tag) => ({ ...tag }));
  return [...known, ...[...used].map((name) => ({ name }))];
}

/** A group of routes and its description. */
export interface DescribedTag {
  readonly name: string;
  readonly description: string;
}

/** The texts of the document that do not come from endpoints. */
export interface DocumentWords {
  readonly version: string;
  /** Where clients reach the API. It may be relative to the document's own address. */
  readonly serverUrl: string;
  /** CommonMark. */
  readonly description: string;
  /** In the order of the document. A group that is missing here comes last, without a description. */
  readonly tags: readonly DescribedTag[];
}

/** Makes an OpenAPI 3.1 document of the API from its endpoints' definitions. */
export function openApiDocument(endpoints: readonly Endpoint[], words: DocumentWords): Json {
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const path = (paths[`/api/${endpoint.path}`] ??= {});
    path[endpoint.method.toLowerCase()] = operation(endpoint);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Comply-AI',
      version: words.version,
      description: words.description,
    },
    servers: [{ url: words.serverUrl }],
    security: [{ bearer: [] }, { apiKey: [] }, { session: [] }],
    tags: tagsOf(endpoints, words.tags),
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: `An API key (\`cai_…\`), a session's token (\`cas_…\`), or a JWT of the tenant's identity provider, which also needs the header \`X-Tenant-Id\`. Permissions: ${PERMISSIONS.join(', ')}.`,
        },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'An API key.' },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: SESSION_COOKIE,
          description: 'A session, from a page of the API’s own origin or of one that it allows.',
        },
      },
      headers: { 'Billing-Standing': HEADERS['Billing-Standing'] },
      schemas: { Problem: outputSchema(problemDocument) },
      responses: problemResponses(),
    },
  };
}
