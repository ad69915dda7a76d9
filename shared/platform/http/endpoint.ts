import { app, type HttpMethod, type HttpRequest, type HttpResponseInit } from '@azure/functions';
import type { z } from 'zod';
import type { Permission } from '../auth/permissions.ts';
import { services, type Services } from '../services.ts';
import type { Call } from '../call/call.ts';
import { answer, answerPublic } from './answer.ts';
import { fallbackProblem } from './fallback.ts';
import type { Reply } from '../call/reply.ts';

/** A documented answer. */
export interface ResponseDefinition {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly headers?: readonly string[];
  /** `application/json` unless said otherwise. */
  readonly contentType?: string;
}

type ObjectSchema = z.ZodObject;

interface Described {
  /** Noun and verb, kebab-case: the Azure function's name and the OpenAPI operation id. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the route prefix: `v1/records/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly responses: Readonly<Record<number, ResponseDefinition>>;
  /** Where `If-Match` is looked at, and whether it must be there; what changes a thing that has versions. */
  readonly ifMatch?: 'required' | 'optional';
}

/** What a parsed request brings. Absent schemas bring nothing. */
export interface Input<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The request's URL as the client wrote it, for links. */
  readonly url: string;
  /** `If-Match`, unparsed. */
  readonly ifMatch: string | null;
  /** `If-None-Match`, unparsed. */
  readonly ifNoneMatch: string | null;
}

type Out<S, Absent> = S extends z.ZodType ? z.output<S> : Absent;

/** One definition of a route: registration, validation, permission, OpenAPI and handler all come from it. */
export interface EndpointDefinition<
  P extends ObjectSchema | undefined,
  Q extends ObjectSchema | undefined,
  B extends z.ZodType | undefined,
> extends Described {
  readonly permission: Permission;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Bytes; {@link BODY_LIMIT_DEFAULT} unless said otherwise. */
  readonly bodyLimit?: number;
  /** True where a tenant whose subscription lapsed may still write: keys, holds, settings. */
  readonly openToSuspended?: boolean;
  readonly run: (
    call: Call,
    input: Input<Out<P, undefined>, Out<Q, undefined>, Out<B, undefined>>,
  ) => Promise<Reply>;
}

/** A route without a caller: health, the API's own documents. */
export interface PublicEndpointDefinition extends Described {
  readonly run: (
    services: Services,
    request: { readonly url: string; readonly ifNoneMatch: string | null },
  ) => Promise<Reply>;
}

/** An endpoint with its schemas' types forgotten: what the wrapper and OpenAPI work from. */
export interface Endpoint extends Described {
  readonly permission: Permission | null;
  readonly params: ObjectSchema | undefined;
  readonly query: ObjectSchema | undefined;
  readonly body: z.ZodType | undefined;
  readonly bodyLimit: number;
  readonly openToSuspended: boolean;
}

/** What fits any route's body but those that say otherwise: an analysis's metrics are the largest ordinary ones. */
export const BODY_LIMIT_DEFAULT = 256 * 1024;

const registered: Endpoint[] = [];

/** Every endpoint of the app, in the order of registration. */
export function endpoints(): readonly Endpoint[] {
  return registered;
}

function register(endpoint: Endpoint, handler: (request: HttpRequest) => Promise<HttpResponseInit>): void {
  if (registered.some((known) => known.name === endpoint.name))
    throw new Error(`two endpoints are named ${endpoint.name}`);
  registered.push(endpoint);
  const methods: HttpMethod[] = [endpoint.method];
  app.http(endpoint.name, { methods, authLevel: 'anonymous', route: endpoint.path, handler });
}

/** Registers a route that needs a credential. */
export function endpoint<
  P extends ObjectSchema | undefined = undefined,
  Q extends ObjectSchema | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(definition: EndpointDefinition<P, Q, B>): void {
  const described: Endpoint = {
    ...definition,
    params: definition.params,
    query: definition.query,
    body: definition.body,
    bodyLimit: definition.bodyLimit ?? BODY_LIMIT_DEFAULT,
    openToSuspended: definition.openToSuspended ?? false,
  };
  // The schemas that parse are the ones that the handler's types were taken from.
  const run = definition.run as (call: Call, input: Input<unknown, unknown, unknown>) => Promise<Reply>;
  register(described, (request) => answer(services(), described, run, request));
}

/** Registers a route that anyone may call. */
export function publicEndpoint(definition: PublicEndpointDefinition): void {
  const described: Endpoint = {
    ...definition,
    permission: null,
    params: undefined,
    query: undefined,
    body: undefined,
    bodyLimit: 0,
    openToSuspended: true,
  };
  register(described, (request) => answerPublic(services(), definition.run, request));
}

/**
 * Registers the route that takes what no other does, so that a wrong path is a 404 and a wrong method a 405 with `Allow`,
 * both as problem+json. More specific routes win over it.
 */
export function registerFallback(): void {
  app.http('requests-fallback', {
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'],
    authLevel: 'anonymous',
    route: '{*path}',
    handler: (request) =>
      answerPublic(
        services(),
        () => {
          const path = new URL(request.url).pathname;
          throw fallbackProblem(path, registered);
        },
        request,
      ),
  });
}
