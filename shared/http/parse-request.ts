import type { HttpRequest } from '@azure/functions';
import type { z } from 'zod';
import type { Endpoint } from './endpoint.ts';
import { Problem, type Fault } from './problem.ts';

/** Deeper than any contract; what is deeper is an attack on recursive code. */
const DEPTH_MAX = 40;

function invalid(errors: readonly Fault[], detail?: string): Problem {
  return new Problem('INVALID_REQUEST', detail === undefined ? { errors } : { errors, detail });
}

/**
 * Reads a JSON body within a limit; undefined for an empty one where the route's schema can do without.
 * @throws Problem 413, 415, or 400 for what is not JSON, not UTF-8, nested too deeply, or holds what no text column can.
 */
export async function readBody(request: HttpRequest, limit: number, mayBeEmpty = false): Promise<unknown> {
  const tooLarge = new Problem('PAYLOAD_TOO_LARGE', { detail: `The body may have ${limit} bytes.` });
  if (Number(request.headers.get('content-length') ?? 0) > limit) throw tooLarge;
  const mediaType = request.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  const bytes = Buffer.from(await request.arrayBuffer());
  if (bytes.length > limit) throw tooLarge;
  if (mayBeEmpty && bytes.length === 0) return undefined;
  if (mediaType !== 'application/json')
    throw new Problem('UNSUPPORTED_MEDIA_TYPE', { detail: 'Send application/json.' });
  return parseJson(bytes);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  let value: unknown;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw invalid([{ pointer: '', detail: 'is not UTF-8' }], 'The body is not UTF-8.');
  }
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid([{ pointer: '', detail: 'is not JSON' }], 'The body is not JSON.');
  }
  // Only an escape can bring in what PostgreSQL's text cannot hold, so ordinary bodies skip the walk.
  const suspicious = /\\u(0000|[dD][89a-fA-F])/.test(text);
  const fault = findUnstorable(value, suspicious, 0);
  if (fault !== undefined) throw invalid([{ pointer: '', detail: fault }]);
  return value;
}

function findUnstorable(value: unknown, checkStrings: boolean, depth: number): string | undefined {
  if (typeof value === 'string') {
    return checkStrings && (value.includes('\0') || !isWellFormed(value))
      ? 'holds a NUL or half a surrogate pair'
      : undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth >= DEPTH_MAX) return `is nested deeper than ${DEPTH_MAX} levels`;
  for (const [key, member] of Object.entries(value)) {
    const fault =
      (checkStrings ? findUnstorable(key, true, depth) : undefined) ??
      findUnstorable(member, checkStrings, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** What was given in path, query and body, with the caller's own `tenant_id`, which says nothing new, taken out. */
export interface GivenParts {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** What an operator's route was given: its path and body name a tenant as their subject, not as their caller. */
export function givenByOperator(request: HttpRequest, body: unknown): GivenParts {
  return { params: { ...request.params }, query: Object.fromEntries(request.query.entries()), body };
}

const TENANT_HEADERS = ['x-tenant-id', 'tenant-id'];

/**
 * The tenant comes from the credential: path, query, header or body may repeat it, never name another.
 * @throws Problem 403 TENANT_MISMATCH.
 */
export function refuseOtherTenants(tenantId: string, request: HttpRequest, body: unknown): GivenParts {
  const query: Record<string, string> = Object.fromEntries(request.query.entries());
  const params: Record<string, string> = { ...request.params };
  const named = [
    params['tenant_id'],
    query['tenant_id'],
    ...TENANT_HEADERS.map((name) => request.headers.get(name) ?? undefined),
  ];
  if (named.some((name) => name !== undefined && name !== tenantId)) throw otherTenant();
  refuseOtherTenantIn(tenantId, body);
  delete query['tenant_id'];
  return { params, query, body: withoutTenant(body) };
}

/** The refusal itself. */
export function otherTenant(): Problem {
  return new Problem('TENANT_MISMATCH', { detail: 'The request names another tenant than its credential.' });
}

/** Members that are the client's own business: a `tenant_id` in there names nothing of ours. */
const FREE_FORM = new Set(['metadata', 'output', 'configuration', 'details', 'template_content', 'items']);

/**
 * Looks for another tenant's id in a body. A batch's `items` are looked at one by one, by their own handler, so that one
 * of them does not spoil the rest.
 */
export function refuseOtherTenantIn(tenantId: string, body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  if (Array.isArray(body)) {
    for (const member of body) refuseOtherTenantIn(tenantId, member);
    return;
  }
  for (const [key, member] of Object.entries(body)) {
    if (key === 'tenant_id' && typeof member === 'string' && member !== tenantId) throw otherTenant();
    if (!FREE_FORM.has(key)) refuseOtherTenantIn(tenantId, member);
  }
}

/** A body without its own top-level `tenant_id`: repeated, not needed, and no field of any contract. */
export function withoutTenant(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !('tenant_id' in body)) return body;
  const { tenant_id: _own, ...rest } = body;
  return rest;
}

/** Faults of a failed parse as pointers below a root. */
export function faultsOf(error: z.ZodError, root: string): Fault[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1'));
    const at = (...more: string[]): string => {
      const pointer = [...path, ...more].join('/');
      return root === '' ? (pointer === '' ? '' : `/${pointer}`) : [root, ...path, ...more].join('/');
    };
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ pointer: at(key), detail: 'is not a known field' }));
    }
    return [{ pointer: at(), detail: issue.message }];
  });
}

/**
 * Parses path, query and body by the endpoint's schemas.
 * @throws Problem 400 with all faults of all parts at once.
 */
export function parseParts(
  endpoint: Endpoint,
  given: GivenParts,
): { params: unknown; query: unknown; body: unknown } {
  const faults: Fault[] = [];
  const parse = (schema: z.ZodType | undefined, value: unknown, root: string): unknown => {
    if (schema === undefined) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    faults.push(...faultsOf(parsed.error, root));
    return undefined;
  };
  const params = parse(endpoint.params, given.params, 'path');
  const query = parse(endpoint.query?.strict(), given.query, 'query');
  const body = parse(endpoint.body, given.body, '');
  for (const [name, value] of Object.entries(given.query)) {
    if (value.includes('\0')) faults.push({ pointer: `query/${name}`, detail: 'holds a NUL' });
  }
  if (faults.length > 0) throw invalid(faults);
  return { params, query, body };
}
