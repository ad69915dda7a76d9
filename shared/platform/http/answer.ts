import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import type { RateWindow } from '../cache/rate-limit.ts';
import { errorFields, log } from '../log/log.ts';
import { problemOf } from '../call/problem-of.ts';
import type { Call, Origin } from '../call/call.ts';
import type { CallServices, TenantDatabases } from '../call/call.ts';
import type { Authenticator } from '../auth/principal.ts';
import type { TenantStatus } from '../auth/tenant-context.ts';
import type { RateLimiter } from '../cache/rate-limit.ts';
import { clientAddress } from './client-address.ts';
import type { GuardedEndpoint, PublicEndpoint } from './endpoint.ts';
import { tenantParams } from './fields.ts';
import { fingerprintOf, readIdempotencyKey } from '../call/idempotency-key.ts';
import { givenByOperator, queryOf, refuseOtherTenants } from '../call/named-tenants.ts';
import { observeRequest, type ObservedRequest, type ObservedRoute } from './observed-request.ts';
import { parseParts, readBodyOf } from './parse-request.ts';
import { fallbackProblem, type Route } from './fallback.ts';
import { rateHeaders, requestUrl, writeReply } from './write-reply.ts';
import { Problem, problemReply, unauthorized } from '../call/problem.ts';
import type { NotModified, Reply } from '../call/reply.ts';
import { paymentRequired, standingAt, standingHeaders } from './billing-standing.ts';
import { count } from '../telemetry/metrics.ts';
import { auditEvent, emitEvents } from '../writes/caused-events.ts';

/** What an answer needs besides the services of the domains. */
export interface AnswerServices extends CallServices {
  readonly authenticator: Authenticator;
  readonly rateLimiter: Pick<RateLimiter, 'take'>;
  /** The databases bound to a tenant. */
  forTenant(tenantId: string): TenantDatabases;
}

function originOf(request: HttpRequest, traceId: string): Origin {
  const ip = clientAddress(request.headers.get('x-forwarded-for'));
  return { traceId, ip, userAgent: request.headers.get('user-agent')?.slice(0, 1000) ?? null };
}

/** The parts of a route that {@link answerPublic} needs. */
type PublicRoute = Pick<
  PublicEndpoint,
  'name' | 'method' | 'path' | 'tag' | 'params' | 'query' | 'body' | 'rawBody' | 'bodyLimit' | 'run'
>;

/**
 * Answers a request to a public route. Checks the body's size and format, then the shape of all parts, then runs the
 * handler.
 */
export function answerPublic(
  endpoint: PublicRoute,
  request: HttpRequest,
  hostTrace?: string,
): Promise<HttpResponseInit> {
  return answerAnyone(endpoint, request, hostTrace, async (seen) => {
    const parsed = parseParts(endpoint, {
      params: { ...request.params },
      query: queryOf(request),
      body: await readBodyOf(endpoint, request),
    });
    return endpoint.run({
      ...parsed,
      ifNoneMatch: request.headers.get('if-none-match'),
      header: (name) => request.headers.get(name),
      origin: originOf(request, seen.traceId),
    });
  });
}

/** Answers a request without a matching route: 404, or 405 with `Allow`. */
export function answerUnrouted(
  routes: readonly Route[],
  request: HttpRequest,
  hostTrace?: string,
): Promise<HttpResponseInit> {
  return answerAnyone({ ...UNROUTED, method: request.method }, request, hostTrace, () => {
    throw fallbackProblem(new URL(request.url).pathname, routes);
  });
}

/** The route of requests without one. */
export const UNROUTED = { name: 'unrouted', path: '{*path}', tag: 'unrouted' } as const;

function answerAnyone(
  route: ObservedRoute,
  request: HttpRequest,
  hostTrace: string | undefined,
  run: (seen: ObservedRequest) => Promise<Reply | NotModified>,
): Promise<HttpResponseInit> {
  return observeRequest(route, request, hostTrace, async (seen) => {
    try {
      return writeReply(request, await run(seen), seen.headers);
    } catch (error) {
      return refuse(request, seen, problemOf(error, route.name, seen.traceId));
    }
  });
}

function refuse(request: HttpRequest, seen: ObservedRequest, problem: Problem): HttpResponseInit {
  seen.refused(problem);
  const reply = problemReply(problem, seen.traceId, new URL(request.url).pathname);
  return writeReply(request, reply, seen.headers);
}

/**
 * Answers one request. All routes have the same order of checks: credential, tenant, rate, permission, the tenant's status,
 * Idempotency-Key, body (size, media type, encoding, JSON), another tenant's id, shape with all faults at once, the tenant
 * in an operator's path. Then the handler runs. All errors leave through one place. A client that may not do something
 * learns that before its input is checked.
 * `open` opens the process's services; the first request does it.
 */
export function answer(
  open: () => AnswerServices,
  endpoint: GuardedEndpoint,
  request: HttpRequest,
  hostTrace?: string,
): Promise<HttpResponseInit> {
  return observeRequest(endpoint, request, hostTrace, (seen) => answerCaller(open, endpoint, request, seen));
}

async function answerCaller(
  open: () => AnswerServices,
  endpoint: GuardedEndpoint,
  request: HttpRequest,
  seen: ObservedRequest,
): Promise<HttpResponseInit> {
  const extra = seen.headers;
  let call: Call | undefined;
  try {
    const services = open();
    const now = services.clock.now();
    const principal = await services.authenticator.authenticate(request, now);
    const context = await services.tenants.find(principal.tenantId);
    if (context === null || context.status === 'erased') {
      count('sign_in_failures_total', { reason: 'no_tenant' });
      throw unauthorized('The tenant of this credential does not exist.');
    }
    const billing = standingAt(context.billing, now);
    Object.assign(extra, standingHeaders(billing));
    const verdict = await services.rateLimiter.take(principal.tenantId, principal.credentialId, {
      hour: principal.rateLimitPerHour,
      day: principal.rateLimitPerDay,
      tenantHour: context.config.rate_limit_per_hour,
    });
    Object.assign(extra, rateHeaders(verdict.windows));
    if (!verdict.allowed) {
      count('rate_limit_refusals_total', {});
      throw rateLimited(verdict.windows);
    }
    const own = services.forTenant(principal.tenantId);
    call = {
      services,
      principal,
      tenant: own.core,
      databases: own,
      context: billing === context.billing ? context : { ...context, billing },
      now,
      route: endpoint.name,
      params: {},
      idempotency: null,
      origin: originOf(request, seen.traceId),
    };
    requirePermission(call, endpoint);
    requireActiveTenant(call, endpoint);
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
    const { params = {} } = parsed;
    const compared = endpoint.hasSecretBody ? principal.actor : comparable(parsed.body);
    const idempotency =
      key === undefined ? null : { key, fingerprint: fingerprintOf([endpoint.name, params, compared]) };
    const databases = endpoint.forNamedTenant ? await databasesOfNamed(services, endpoint, params) : own;
    const bound = { ...call, params, idempotency, tenant: databases.core, databases };
    return writeReply(request, await endpoint.run(bound, input), extra);
  } catch (error) {
    const problem = problemOf(error, endpoint.name, seen.traceId);
    if (call !== undefined) await auditRefusal(call, endpoint, problem);
    return refuse(request, seen, problem);
  }
}

/**
 * The databases of the tenant in an operator's path. Everything else of the call stays the operator's: rates, usage, audit
 * trail.
 * @throws Problem 404 if the tenant does not exist, or no longer exists and the route is not open to erased ones.
 */
async function databasesOfNamed(
  services: AnswerServices,
  { openToErased }: GuardedEndpoint,
  params: unknown,
): Promise<TenantDatabases> {
  const { tenant_id: tenantId } = tenantParams.parse(params);
  const context = await services.tenants.find(tenantId);
  if (context === null || (context.status === 'erased' && !openToErased))
    throw new Problem('NOT_FOUND', { detail: 'There is no such tenant.' });
  return services.forTenant(tenantId);
}

/**
 * A body for a request's fingerprint. It is the parsed body, so that another spelling of an id, or a default written out, is
 * the same body. Bytes become text, and an absent body becomes null.
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
  const { permission } = endpoint;
  const { principal } = call;
  if (permission === 'authenticated') return;
  if (permission === 'person') {
    if (principal.userId !== null) return;
    throw new Problem('INSUFFICIENT_RBAC', { detail: 'Only a person who has signed in may do this.' });
  }
  if (!principal.permissions.has(permission))
    throw new Problem('INSUFFICIENT_RBAC', {
      detail: `The ${principal.kind === 'key' ? 'key' : 'caller'} lacks the permission ${permission}.`,
    });
}

function requireActiveTenant(call: Call, endpoint: GuardedEndpoint): void {
  const { status, billing } = call.context;
  if (endpoint.method === 'GET' || endpoint.openToSuspended) return;
  if (status !== 'active') throw notActive(status);
  if (billing.standing === 'read_only') throw paymentRequired();
}

/** The refusal of a write because of the tenant's status. Whatever its credentials may do, the tenant may not; no payment helps. */
function notActive(status: TenantStatus): Problem {
  const why =
    status === 'offboarding'
      ? 'The tenant is leaving: it may read and export, but not write. GET /api/v1/tenant shows until when that can be undone.'
      : `The tenant is ${status}: it may read and export, but not write, until an operator has reactivated it.`;
  return new Problem('INSUFFICIENT_RBAC', { detail: why });
}

/** Audits a refusal that matters to auditors: a request for another tenant, or beyond the caller's permissions. */
async function auditRefusal(call: Call, endpoint: GuardedEndpoint, problem: Problem): Promise<void> {
  if (problem.code !== 'TENANT_MISMATCH' && problem.code !== 'INSUFFICIENT_RBAC') return;
  count('access_denials_total', { code: problem.code });
  try {
    const note = {
      action: `${endpoint.name}.denied`,
      resource_type: endpoint.tag,
      outcome: 'denied' as const,
      details: { code: problem.code },
    };
    await emitEvents(call, [auditEvent(call, note)]);
  } catch (error) {
    // The refusal stays, even if its audit entry cannot be written.
    log.error('refusal-not-audited', {
      endpoint: endpoint.name,
      trace_id: call.origin.traceId,
      ...errorFields(error),
    });
  }
}
