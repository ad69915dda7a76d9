import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { z } from 'zod';
import type { TestAnswer, TestApp } from './app.ts';

/** A JSON schema, or any other object of the document. */
export type Json = Readonly<Record<string, unknown>>;

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly schema: Json;
}

/** One operation of the document, with resolved references. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With its `{parameters}`. */
  readonly path: string;
  readonly summary: string;
  readonly tags: readonly string[];
  /** Null for a public one. */
  readonly permission: string | null;
  readonly security: readonly Json[] | undefined;
  readonly parameters: readonly Parameter[];
  /** The body's schema; undefined where there is no body. */
  readonly body: Json | undefined;
  readonly bodyRequired: boolean;
  readonly responses: ReadonlyMap<number, DocumentedResponse>;
}

/** One documented answer. */
export interface DocumentedResponse {
  readonly headers: readonly string[];
  readonly contentType: string | undefined;
  readonly schema: Json | undefined;
}

/** The document as a test works with it. */
export interface ApiDocument {
  // A test fails if an expected member is missing.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly document: any;
  readonly operations: readonly Operation[];
  /** The faults of an answer against the document; empty if it fits. */
  readonly findFaults: (operation: Operation, answer: TestAnswer) => string[];
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
/** Headers that only some answers of an operation have. */
const OCCASIONAL = new Set(['Billing-Standing', 'Idempotency-Replayed', 'Link']);

const json = z.record(z.string(), z.unknown());
// Bytes have a media type but no schema.
const content = z.record(z.string(), z.object({ schema: json.default({}) }));
const operationSchema = z.object({
  operationId: z.string(),
  summary: z.string(),
  tags: z.array(z.string()),
  security: z.array(json).optional(),
  'x-permission': z.string().nullable().default(null),
  parameters: z.array(
    z.object({
      name: z.string(),
      in: z.enum(['path', 'query', 'header']),
      required: z.boolean(),
      schema: json,
    }),
  ),
  requestBody: z.object({ required: z.boolean(), content }).optional(),
  responses: z.record(z.string(), json),
});
const responseSchema = z.object({ headers: json.default({}), content: content.default({}) });

/** Reads the API's document and makes a checker from it. */
export async function readApiDocument(app: TestApp): Promise<ApiDocument> {
  const { body: document } = await app.request('GET', '/api/openapi.json');
  const paths = z.record(z.string(), json).parse(document.paths);
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => method in methods).map((method) =>
      readOperation(method.toUpperCase(), path, methods[method], document),
    ),
  );
  return { document, operations, findFaults: makeChecker() };
}

/** The value itself, or the value of its reference. */
function resolve(value: Json, document: Json): Json {
  if (typeof value['$ref'] !== 'string') return value;
  const parts = value['$ref'].slice('#/'.length).split('/');
  return parts.reduce<Json>((at, part) => json.parse(at[part]), document);
}

function readOperation(method: string, path: string, found: unknown, document: Json): Operation {
  const operation = operationSchema.parse(found);
  const responses = Object.entries(operation.responses).map(
    ([status, given]): [number, DocumentedResponse] => {
      const response = responseSchema.parse(resolve(given, document));
      const [contentType] = Object.keys(response.content);
      const schema = contentType === undefined ? undefined : response.content[contentType]?.schema;
      return [
        Number(status),
        {
          headers: Object.keys(response.headers),
          contentType,
          schema: schema === undefined ? undefined : resolve(schema, document),
        },
      ];
    },
  );
  return {
    id: operation.operationId,
    method,
    path,
    summary: operation.summary,
    tags: operation.tags,
    permission: operation['x-permission'],
    security: operation.security,
    parameters: operation.parameters,
    body: operation.requestBody?.content['application/json']?.schema,
    bodyRequired: operation.requestBody?.required === true,
    responses: new Map(responses),
  };
}

/**
 * The schema without additional fields. Clients must expect new fields; in the tests, an undocumented field is a fault.
 */
function closed(schema: Json): Json {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) => {
    const isClosed = isJson(value) && isJson(value['properties']) && !('additionalProperties' in value);
    return isClosed ? { ...value, additionalProperties: false } : value;
  });
}

const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null;

function makeChecker(): ApiDocument['findFaults'] {
  // The schemas have patterns beside the formats.
  const ajv = new Ajv2020({ allErrors: true, validateFormats: false, strict: true, strictTypes: false });
  const compiled = new Map<Json, ValidateFunction>();
  return (operation, answer) => {
    const documented = operation.responses.get(answer.status);
    if (documented === undefined) return [`${answer.status} is not documented`];
    const missing = documented.headers
      .filter((name) => !OCCASIONAL.has(name) && !answer.headers.has(name))
      .map((name) => `header ${name} is missing`);
    const type = answer.headers.get('content-type')?.split(';')[0];
    if (documented.contentType === undefined) {
      return answer.body === '' ? missing : [...missing, 'a body where none is documented'];
    }
    if (type !== documented.contentType) return [...missing, `content type ${type ?? 'missing'}`];
    const { schema } = documented;
    if (schema === undefined || !/json/.test(documented.contentType)) return missing;
    const validate = compiled.get(schema) ?? ajv.compile(closed(schema));
    compiled.set(schema, validate);
    if (validate(answer.body)) return missing;
    return [
      ...missing,
      ...(validate.errors ?? []).map(
        ({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`,
      ),
    ];
  };
}
