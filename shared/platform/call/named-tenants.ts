import type { HttpRequest } from '@azure/functions';
import { z } from 'zod';
import { Problem } from './problem.ts';

/** The path, query and body of a request, without the caller's own `tenant_id`, which adds nothing. */
export interface GivenParts {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/**
 * A request's query by name. The host's object loses the name `__proto__`. It is kept here, so that it can be refused like
 * any unknown name.
 */
export function queryOf(request: HttpRequest): Record<string, string> {
  const query = [...request.query.entries()];
  if (request.url.includes('?') && new URL(request.url).searchParams.has('__proto__'))
    query.push(['__proto__', '']);
  return Object.fromEntries(query);
}

/** The parts of an operator's request. A tenant in its path or body is its subject, not its caller. */
export function givenByOperator(request: HttpRequest, body: unknown): GivenParts {
  return { params: { ...request.params }, query: queryOf(request), body };
}

const TENANT_HEADERS = ['x-tenant-id', 'tenant-id'];

/**
 * The tenant comes from the credential. Path, query, header and body may repeat it, but must not name another.
 * @throws Problem 403 TENANT_MISMATCH.
 */
export function refuseOtherTenants(
  tenantId: string,
  request: HttpRequest,
  body: unknown,
  bodySchema: z.ZodType | undefined,
): GivenParts {
  const query = queryOf(request);
  const params: Record<string, string> = { ...request.params };
  const named = [
    params['tenant_id'],
    query['tenant_id'],
    ...TENANT_HEADERS.map((name) => request.headers.get(name) ?? undefined),
  ];
  if (named.some((name) => name !== undefined && name !== tenantId)) throw otherTenant();
  if (bodySchema !== undefined) refuseOtherTenantIn(tenantId, body, bodySchema);
  delete query['tenant_id'];
  return { params, query, body: withoutTenant(body) };
}

function otherTenant(): Problem {
  return new Problem('TENANT_MISMATCH', { detail: 'The request names another tenant than its credential.' });
}

/**
 * Checks every object that the body's schema describes for another tenant's id. Free-form parts belong to the client: a
 * `tenant_id` in an analysis's metrics means nothing here. A batch's items are free-form for this check. Each is checked
 * later with its own schema, so that one of them does not affect the others.
 * @throws Problem 403 TENANT_MISMATCH.
 */
export function refuseOtherTenantIn(tenantId: string, body: unknown, schema: z.ZodType): void {
  checkOf(schema)?.(tenantId, body);
}

type Check = (tenantId: string, value: unknown) => void;

const checks = new WeakMap<object, { readonly check: Check | undefined }>();

/** The check for a schema, made once; undefined if the schema describes no object. */
function checkOf(schema: unknown): Check | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined;
  const known = checks.get(schema);
  if (known !== undefined) return known.check;
  const check = makeCheck(schema);
  checks.set(schema, { check });
  return check;
}

function makeCheck(schema: unknown): Check | undefined {
  if (schema instanceof z.ZodObject) return objectCheck(schema);
  if (schema instanceof z.ZodArray) {
    const element = checkOf(schema.element);
    if (element === undefined) return undefined;
    return (tenantId, value) => {
      if (Array.isArray(value)) for (const member of value) element(tenantId, member);
    };
  }
  if (schema instanceof z.ZodUnion) {
    const options = schema.options.map(checkOf).filter((check) => check !== undefined);
    return options.length === 0
      ? undefined
      : (tenantId, value) => options.forEach((check) => check(tenantId, value));
  }
  if (schema instanceof z.ZodPipe) return checkOf(schema.in);
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  )
    return checkOf(schema.unwrap());
  return undefined;
}

function objectCheck(schema: z.ZodObject): Check {
  const members = Object.entries(schema.shape).flatMap(([key, member]) => {
    const check = checkOf(member);
    return check === undefined ? [] : [{ key, check }];
  });
  return (tenantId, value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    const fields = new Map<string, unknown>(Object.entries(value));
    const named = fields.get('tenant_id');
    if (typeof named === 'string' && named !== tenantId) throw otherTenant();
    for (const { key, check } of members) check(tenantId, fields.get(key));
  };
}

/** A body without its top-level `tenant_id`, which may be repeated but is not part of any schema. */
export function withoutTenant(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  if (!('tenant_id' in body) || typeof body.tenant_id !== 'string') return body;
  const { tenant_id: _own, ...rest } = body;
  return rest;
}
