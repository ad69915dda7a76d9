import { isIP } from 'node:net';
import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { RateWindow } from '../cache/rate-limit.ts';
import { randomHex } from '../ids/random-pool.ts';
import { errorFields, log } from '../log/log.ts';
import { problemOf } from '../call/problem-of.ts';
import type { Call, Origin } from '../call/call.ts';
import type { CallServices, TenantDatabases } from '../call/call.ts';
import type { Authenticator } from '../auth/principal.ts';
import type { RateLimiter } from '../cache/rate-limit.ts';
import type { GuardedEndpoint, PublicEndpoint } from './endpoint.ts';
import { tenantParams } from './fields.ts';
import { fingerprintOf, readIdempotencyKey } from '../call/idempotency-key.ts';
import { givenByOperator, queryOf, refuseOtherTenants } from '../call/named-tenants.ts';
import { parseParts, readBodyOf } from './parse-request.ts';
import { fallbackProblem, type Route } from './fallback.ts';
import { rateHeaders, requestUrl, writeReply } from './write-reply.ts';
import { Problem, problemReply, unauthorized } from '../call/problem.ts';
import type { NotModified, Reply } from '../call/reply.ts';
import { auditEvent, emitEvents } from '../writes/caused-events.ts';

/** What answering needs beside what the domains may use. */
export interface AnswerServices extends CallServices {
  readonly authenticator: Authenticator;
  readonly rateLimiter: Pick<RateLimiter, 'take'>;
  /** The databases bound to a tenant. */
  forTenant(tenantId: string): TenantDatabases;
}

interface Trace {
  readonly id: string;
  readonly headers: Record<string, string>;
}

function traceOf(request: HttpRequest): Trace {
  const given = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(
    request.headers.get('traceparent') ?? '',
  );
  const id = given?.[1] ?? randomHex(16);
  const headers: Record<string, string> = {
    traceparent: `00-${id}-${randomHex(8)}-${given?.[3] ?? '01'}`,
    'x-ms-request-id': id,
  };
  const clientRequestId = request.headers.get('x-ms-client-request-id');
  if (clientRequestId !== null && /^[\x21-\x7e]{1,128}$/.test(clientRequestId)) {
    headers['x-ms-client-request-id'] = clientRequestId;
  }
  return { id, headers };
}

/** The address of the last hop that Application Gateway saw, which is the client; it may carry a port. */
function clientAddress(forwarded: string | null): string | null {
  const last = forwarded?.split(',').at(-1)?.trim() ?? '';
  const bare =
    /^\[([^\]]*)\](?::\d+)?$/.exec(last)?.[1] ?? (isIP(last) === 6 ? last : last.replace(/:\d+$/, ''));
  // A zone would be a stranger's interface, and is no part of an address that a database keeps.
  return isIP(bare) === 0 || bare.includes('%') ? null : bare;
}

function originOf(request: HttpRequest, trace: Trace): Origin {
  const ip = clientAddress(request.headers.get('x-forwarded-for'));
  return { traceId: trace.id, ip, userAgent: request.headers.get('user-agent')?.slice(0, 1000) ?? null };
}

/** What {@link answerPublic} needs of a route. */
type PublicRoute = Pick<
  PublicEndpoint,
  'name' | 'params' | 'query' | 'body' | 'rawBody' | 'bodyLimit' | 'run'
>;

/** Answers a request to a public route: the body's size and form, then the shape of all parts, then the handler. */
export function answerPublic(endpoint: PublicRoute, request: HttpRequest): Promise<HttpResponseInit> {
  return answerAnyone(endpoint.name, request, async () => {
    const parsed = parseParts(endpoint, {
      params: { ...request.params },
      query: queryOf(request),
      body: await readBodyOf(endpoint, request),
    });
    return endpoint.run({
      ...parsed,
      ifNoneMatch: request.headers.get('if-none-match'),
      header: (name) => request.headers.get(name),
    });
  });
}

/** Answers a request that no route took: 404, or 405 with `Allow`. */
export function answerUnrouted(routes: readonly Route[], request: HttpRequest): Promise<HttpResponseInit> {
  return answerAnyone('unrouted', request, () => {
    throw fallbackProblem(new URL(request.url).pathname, routes);
  });
}

async function answerAnyone(
  name: string,
  request: HttpRequest,
  run: () => Promise<Reply | NotModified>,
): Promise<HttpResponseInit> {
  const trace = traceOf(request);
  try {
    return writeReply(request, await run(), trace.headers);
  } catch (error) {
    const problem = problemOf(error, name, trace.id);
    return writeReply(request, problemReply(problem, trace.id, new URL(request.url).pathname), trace.headers);
  }
}

/**
 * Answers one request. The order of checks is fixed here, once for all routes: credential, tenant, rate, permission, the
 * tenant's standing, Idempotency-Key, body (size, media type, encoding, JSON), another tenant's id, shape with all faults
 * at once; the tenant that an operator's path names; then the handler; then one way out for every error. What a client may not do is so told before what it sent
 * is looked at. `open`: the process's services, opened by the first request.
 */
export async function answer(
  open: () => AnswerServices,
  endpoint: GuardedEndpoint,
  request: HttpRequest,
): Promise<HttpResponseInit> {
  const trace = traceOf(request);
  const extra = trace.headers;
  let call: Call | undefined;
  try {
    const services = open();
    const now = services.clock.now();
    const principal = await services.authenticator.authenticate(request.headers, now);
    const context = await services.tenants.find(principal.tenantId);
    if (context === null || context.status === 'erased')
      throw unauthorized('The tenant of this key does not exist.');
    const verdict = await services.rateLimiter.take(principal.tenantId, principal.keyId, {
      hour: principal.rateLimitPerHour,
      day: principal.rateLimitPerDay,
      tenantHour: context.config.rate_limit_per_hour,
    });
    Object.assign(extra, rateHeaders(verdict.windows));
    if (!verdict.allowed) throw rateLimited(verdict.windows);
    const own = services.forTenant(principal.tenantId);
    call = {
      services,
      principal,
      tenant: own.core,
      databases: own,
      context,
      now,
      route: endpoint.name,
      params: {},
      idempotency: null,
      origin: originOf(request, trace),
    };
    requirePermission(call, endpoint);
    requireStanding(call, endpoint);
    const key =
      endpoint.method === 'POST' ? readIdempotencyKey(request.headers.get('idempotency-key')) : undefined;
    const body = await readBodyOf(endpoint, request);
    const given =
      endpoint.permission === 'platform:operate'
        ? givenByOperator(request, body)
        : refuseOtherTenants(principal.tenantId, request, body, endpoint.body);
    const parsed = parseParts(endpoint, given);
    const input = {
      ...parsed,
      url: requestUrl(services.settings, request),
      ifMatch: request.headers.get('if-match'),
      ifNoneMatch: request.headers.get('if-none-match'),
    };
    const { params = {}, body: understood } = parsed;
    const idempotency =
      key === undefined
        ? null
        : { key, fingerprint: fingerprintOf([endpoint.name, params, comparable(understood)]) };
    const databases = endpoint.forNamedTenant ? await databasesOfNamed(services, params) : own;
    const bound = { ...call, params, idempotency, tenant: databases.core, databases };
    return writeReply(request, await endpoint.run(bound, input), extra);
  } catch (error) {
    const problem = problemOf(error, endpoint.name, trace.id);
    if (call !== undefined) await auditRefusal(call, endpoint, problem);
    return writeReply(request, problemReply(problem, trace.id, new URL(request.url).pathname), extra);
  }
}

/**
 * The databases of the tenant that an operator's path names. The call stays the operator's in all else: rates, usage, trail.
 * @throws Problem 404 where there is no such tenant, or no longer.
 */
async function databasesOfNamed(services: AnswerServices, params: unknown): Promise<TenantDatabases> {
  const { tenant_id: tenantId } = tenantParams.parse(params);
  const context = await services.tenants.find(tenantId);
  if (context === null || context.status === 'erased')
    throw new Problem('NOT_FOUND', { detail: 'There is no such tenant.' });
  return services.forTenant(tenantId);
}

/**
 * A body as the fingerprint of a repeatable request reads it: as it was understood, so that another spelling of an id or a
 * default that is written out is the same body. Bytes as text, an absent one as null.
 */
function comparable(body: unknown): unknown {
  return body instanceof Uint8Array ? Buffer.from(body).toString('base64') : (body ?? null);
}

function rateLimited(windows: readonly RateWindow[]): Problem {
  const spent = windows.filter((window) => !window.allowed);
  const wait = Math.max(1, ...spent.map((window) => window.resetSeconds));
  return new Problem('RATE_LIMITED', {
    detail: `The allowance of the ${spent.map((window) => window.name).join(' and ')} is used up.`,
    headers: { 'retry-after': String(wait) },
    members: { 'violated-policies': spent.map((window) => window.name) },
  });
}

function requirePermission(call: Call, endpoint: GuardedEndpoint): void {
  if (!call.principal.permissions.has(endpoint.permission)) {
    throw new Problem('INSUFFICIENT_RBAC', {
      detail: `The key lacks the permission ${endpoint.permission}.`,
    });
  }
}

function requireStanding(call: Call, endpoint: GuardedEndpoint): void {
  const { status } = call.context;
  if (status === 'active' || endpoint.openToSuspended) return;
  if (endpoint.method !== 'GET') {
    throw new Problem('PAYMENT_REQUIRED', { detail: `The tenant is ${status}: it may read, but not write.` });
  }
}

/** A refusal that an auditor wants to see: a reach for another tenant, or past one's permissions. */
async function auditRefusal(call: Call, endpoint: GuardedEndpoint, problem: Problem): Promise<void> {
  if (problem.code !== 'TENANT_MISMATCH' && problem.code !== 'INSUFFICIENT_RBAC') return;
  try {
    const note = {
      action: `${endpoint.name}.denied`,
      resource_type: endpoint.tag,
      outcome: 'denied' as const,
      details: { code: problem.code },
    };
    await emitEvents(call, [auditEvent(call, note)]);
  } catch (error) {
    // The refusal stands whether or not it could be written down.
    log.error('refusal-not-audited', {
      endpoint: endpoint.name,
      trace_id: call.origin.traceId,
      ...errorFields(error),
    });
  }
}
