import type { z } from 'zod';
import type { Permission } from '../auth/permissions.ts';
import type { Call } from '../call/call.ts';
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
  readonly run: (request: PublicRequest) => Promise<Reply>;
}

/** What a public route sees of its request. */
export interface PublicRequest {
  readonly url: string;
  readonly ifNoneMatch: string | null;
}

/** An endpoint with its schemas' types forgotten: what the wrapper and OpenAPI work from. */
interface Erased extends Described {
  readonly params: ObjectSchema | undefined;
  readonly query: ObjectSchema | undefined;
  readonly body: z.ZodType | undefined;
  readonly bodyLimit: number;
  readonly openToSuspended: boolean;
}

/** A route that needs a credential. */
export interface GuardedEndpoint extends Erased {
  readonly permission: Permission;
  readonly run: (call: Call, input: Input<unknown, unknown, unknown>) => Promise<Reply>;
}

/** A route that anyone may call. */
export interface PublicEndpoint extends Erased {
  readonly permission: null;
  readonly run: (request: PublicRequest) => Promise<Reply>;
}

/** Any route of the app. */
export type Endpoint = GuardedEndpoint | PublicEndpoint;

/** What fits any route's body but those that say otherwise: an analysis's metrics are the largest ordinary ones. */
export const BODY_LIMIT_DEFAULT = 256 * 1024;

/** Declares a route that needs a credential. */
export function endpoint<
  P extends ObjectSchema | undefined = undefined,
  Q extends ObjectSchema | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(definition: EndpointDefinition<P, Q, B>): GuardedEndpoint {
  return {
    ...definition,
    params: definition.params,
    query: definition.query,
    body: definition.body,
    bodyLimit: definition.bodyLimit ?? BODY_LIMIT_DEFAULT,
    openToSuspended: definition.openToSuspended ?? false,
    // The schemas that parse are the ones that the handler's types were taken from.
    run: definition.run as GuardedEndpoint['run'],
  };
}

/** Declares a route that anyone may call. */
export function publicEndpoint(definition: PublicEndpointDefinition): PublicEndpoint {
  return {
    ...definition,
    permission: null,
    params: undefined,
    query: undefined,
    body: undefined,
    bodyLimit: 0,
    openToSuspended: true,
  };
}
