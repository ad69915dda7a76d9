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
  /** Where clients reach this request's path, with its query: for links. See `requestUrl`. */
  readonly url: string;
  /** `If-Match`, unparsed. */
  readonly ifMatch: string | null;
  /** `If-None-Match`, unparsed. */
  readonly ifNoneMatch: string | null;
}

type Out<S, Absent> = S extends z.ZodType ? z.output<S> : Absent;

/** A raw body is bytes, whatever else was declared. */
type BodyOut<B, R> = R extends true ? Buffer : Out<B, undefined>;

/** How a route takes its body. */
interface BodyDefinition<B extends z.ZodType | undefined, R extends true | undefined> {
  /** The schema of a JSON body. */
  readonly body?: B;
  /**
   * The handler gets the body's bytes exactly as they were sent, and nothing parses them: a webhook's signature covers its
   * bytes. Excludes `body`.
   */
  readonly rawBody?: R;
  /** The media type that the API's document gives a raw body; `application/octet-stream` unless said otherwise. */
  readonly rawBodyType?: string;
  /** Bytes; {@link BODY_LIMIT_DEFAULT} unless said otherwise. */
  readonly bodyLimit?: number;
}

/** One definition of a route: registration, validation, permission, OpenAPI and handler all come from it. */
export interface EndpointDefinition<
  P extends ObjectSchema | undefined,
  Q extends ObjectSchema | undefined,
  B extends z.ZodType | undefined,
  R extends true | undefined,
>
  extends Described, BodyDefinition<B, R> {
  readonly permission: Permission;
  readonly params?: P;
  readonly query?: Q;
  /** True where a tenant whose subscription lapsed may still write: keys, holds, settings. */
  readonly openToSuspended?: boolean;
  readonly run: (
    call: Call,
    input: Input<Out<P, undefined>, Out<Q, undefined>, BodyOut<B, R>>,
  ) => Promise<Reply>;
}

/**
 * A route without a caller: health, the API's own documents, a webhook that proves itself by a signature. What it needs of
 * the process's services, the composition root hands to the function that declares it.
 */
export interface PublicEndpointDefinition<
  P extends ObjectSchema | undefined,
  Q extends ObjectSchema | undefined,
  B extends z.ZodType | undefined,
  R extends true | undefined,
>
  extends Described, BodyDefinition<B, R> {
  readonly params?: P;
  readonly query?: Q;
  readonly run: (input: PublicInput<Out<P, undefined>, Out<Q, undefined>, BodyOut<B, R>>) => Promise<Reply>;
}

/** What a public route sees of its request. */
export interface PublicInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly ifNoneMatch: string | null;
  /** A header by its name in any case; null where it is absent. */
  readonly header: (name: string) => string | null;
}

/** An endpoint with its schemas' types forgotten: what the wrapper and OpenAPI work from. */
interface Erased extends Described {
  readonly params: ObjectSchema | undefined;
  readonly query: ObjectSchema | undefined;
  readonly body: z.ZodType | undefined;
  readonly rawBody: boolean;
  readonly rawBodyType: string;
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
  readonly run: (input: PublicInput<unknown, unknown, unknown>) => Promise<Reply>;
}

/** Any route of the app. */
export type Endpoint = GuardedEndpoint | PublicEndpoint;

/** What fits any route's body but those that say otherwise: an analysis's metrics are the largest ordinary ones. */
export const BODY_LIMIT_DEFAULT = 256 * 1024;

const RAW_BODY_TYPE = 'application/octet-stream';

/** Declares a route that needs a credential. */
export function endpoint<
  P extends ObjectSchema | undefined = undefined,
  Q extends ObjectSchema | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  R extends true | undefined = undefined,
>(definition: EndpointDefinition<P, Q, B, R>): GuardedEndpoint {
  return {
    ...definition,
    ...erased(definition),
    openToSuspended: definition.openToSuspended ?? false,
    // The schemas that parse are the ones that the handler's types were taken from.
    run: definition.run as GuardedEndpoint['run'],
  };
}

/** Declares a route that anyone may call. */
export function publicEndpoint<
  P extends ObjectSchema | undefined = undefined,
  Q extends ObjectSchema | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
  R extends true | undefined = undefined,
>(definition: PublicEndpointDefinition<P, Q, B, R>): PublicEndpoint {
  return {
    ...definition,
    ...erased(definition),
    permission: null,
    openToSuspended: true,
    // As above.
    run: definition.run as PublicEndpoint['run'],
  };
}

function erased(
  definition: Pick<
    EndpointDefinition<
      ObjectSchema | undefined,
      ObjectSchema | undefined,
      z.ZodType | undefined,
      true | undefined
    >,
    'params' | 'query' | 'body' | 'rawBody' | 'rawBodyType' | 'bodyLimit'
  >,
) {
  return {
    params: definition.params,
    query: definition.query,
    body: definition.body,
    rawBody: definition.rawBody ?? false,
    rawBodyType: definition.rawBodyType ?? RAW_BODY_TYPE,
    bodyLimit: definition.bodyLimit ?? BODY_LIMIT_DEFAULT,
  };
}
