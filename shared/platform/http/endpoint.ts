import type { z } from 'zod';
import type { Access } from '../auth/permissions.ts';
import type { Call, Origin } from '../call/call.ts';
import type { ProblemCode } from '../call/problem.ts';
import type { NotModified, OtherText, Reply } from '../call/reply.ts';

/** A documented answer. Without a schema and a media type it has no body. */
export interface ResponseDefinition {
  readonly description: string;
  /** The JSON body. The compiler checks the handler's replies of this status against it. */
  readonly schema?: z.ZodType;
  readonly headers?: readonly string[];
  /** The media type of a body that is not JSON. */
  readonly contentType?: string;
}

/** A route's documented answers, by status. They contain no refusals: every route can throw a `Problem`. */
export type Responses = Readonly<Record<number, ResponseDefinition>>;

type ObjectSchema = z.ZodObject | undefined;
type BodySchema = z.ZodType | undefined;

interface Described {
  /** Noun and verb, kebab-case. The Azure function's name and the OpenAPI operation id. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the route prefix: `v1/records/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** Whether `If-Match` is used and required. For changes of rows with versions. */
  readonly ifMatch?: 'required' | 'optional';
}

/** The parsed request. A part without a schema is undefined. */
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

/** A public route's view of its request. */
export interface PublicInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly ifNoneMatch: string | null;
  /** Returns a header by its name in any case; null if it is absent. */
  readonly header: (name: string) => string | null;
  readonly origin: Origin;
}

/** A part of the request after its schema has parsed it. */
type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/**
 * The replies that a route's handler may return: one of the documented statuses, each with the body of its schema. `{ 200: {
 * schema: mapping } }` allows a `Reply<200, Mapping>`, and 304 like any route.
 *
 * The body is the schema's output, not its input: nothing parses an answer, so a field with a default must be present. The
 * API's document also describes the output.
 */
export type ReplyOf<Documented extends Responses> =
  NotModified | OneOf<{ [Status in keyof Documented & number]: Reply<Status, BodyOf<Documented[Status]>> }>;

type OneOf<Members> = Members[keyof Members];

type BodyOf<Definition> = Definition extends { readonly schema: z.ZodType }
  ? z.output<Definition['schema']>
  : Definition extends { readonly contentType: string }
    ? OtherText
    : undefined;

/** The parts of a definition that determine its handler's types, without the body. */
interface Parts<Params extends ObjectSchema, Query extends ObjectSchema, Documented extends Responses> {
  readonly params?: Params;
  readonly query?: Query;
  readonly responses: Documented;
  /** The most bytes of the body. The default is {@link BODY_LIMIT_DEFAULT}. */
  readonly bodyLimit?: number;
}

/** How a route takes its body, and its handler: as JSON with a schema (or no body), or as bytes. */
type Handled<Body extends BodySchema, RunOnJson, RunOnBytes> =
  | {
      readonly body?: Body;
      readonly rawBody?: never;
      readonly rawBodyType?: never;
      readonly run: RunOnJson;
    }
  | {
      readonly body?: never;
      /** The handler gets the body's bytes unchanged and unparsed, because a webhook's signature covers them. */
      readonly rawBody: true;
      /** The media type of the bytes in the API's document. The default is `application/octet-stream`. */
      readonly rawBodyType?: string;
      readonly run: RunOnBytes;
    };

type Run<Params, Query, Body, Documented extends Responses> = (
  call: Call,
  input: Input<Parsed<Params>, Parsed<Query>, Body>,
) => Promise<ReplyOf<Documented>>;

/** The definition of a route. Its registration, validation, permission, OpenAPI and handler all come from it. */
export type EndpointDefinition<
  Params extends ObjectSchema,
  Query extends ObjectSchema,
  Body extends BodySchema,
  Documented extends Responses,
> = Described &
  Parts<Params, Query, Documented> &
  Handled<Body, Run<Params, Query, Parsed<Body>, Documented>, Run<Params, Query, Buffer, Documented>> & {
    readonly permission: Access;
    /** True if a tenant that may only read (unpaid, suspended, leaving) may still do this: keys, holds, settings, its export. */
    readonly openToSuspended?: boolean;
    /**
     * True if an operator works for the tenant in the path's `{tenant_id}`. The call's databases are then that tenant's.
     * Needs `platform:operate`.
     */
    readonly forNamedTenant?: boolean;
    /** True if that tenant may also be erased: to hold what an erasure has not deleted yet. */
    readonly openToErased?: boolean;
    /**
     * True if the body is a secret that people choose. The fingerprint that is kept with an Idempotency-Key then names the caller and not
     * the body: a fast hash of a password can be guessed.
     */
    readonly hasSecretBody?: boolean;
  };

type PublicRun<Params, Query, Body, Documented extends Responses> = (
  input: PublicInput<Parsed<Params>, Parsed<Query>, Body>,
) => Promise<ReplyOf<Documented>>;

/**
 * A route without a caller: health, the API's own documents, a webhook with a signature. The composition root passes the
 * services that it needs to the function that declares it.
 */
export type PublicEndpointDefinition<
  Params extends ObjectSchema,
  Query extends ObjectSchema,
  Body extends BodySchema,
  Documented extends Responses,
> = Described &
  Parts<Params, Query, Documented> &
  Handled<
    Body,
    PublicRun<Params, Query, Parsed<Body>, Documented>,
    PublicRun<Params, Query, Buffer, Documented>
  > & {
    /** Refusals besides those that follow from the definition: a sign-in answers 401. */
    readonly problems?: readonly ProblemCode[];
  };

/** An endpoint without its schemas' types, for the wrapper and OpenAPI. */
interface Erased extends Described {
  readonly params: ObjectSchema;
  readonly query: ObjectSchema;
  readonly body: BodySchema;
  readonly rawBody: boolean;
  readonly rawBodyType: string;
  readonly bodyLimit: number;
  readonly responses: Responses;
  readonly openToSuspended: boolean;
}

/** A route that needs a credential. */
export interface GuardedEndpoint extends Erased {
  readonly permission: Access;
  readonly forNamedTenant: boolean;
  readonly openToErased: boolean;
  readonly hasSecretBody: boolean;
  readonly run: (call: Call, input: Input<unknown, unknown, unknown>) => Promise<Reply | NotModified>;
}

/** A route that anyone may call. */
export interface PublicEndpoint extends Erased {
  readonly permission: null;
  readonly problems: readonly ProblemCode[];
  readonly run: (input: PublicInput<unknown, unknown, unknown>) => Promise<Reply | NotModified>;
}

/** Any route of the app. */
export type Endpoint = GuardedEndpoint | PublicEndpoint;

/** The default limit of a body. The largest ordinary bodies are an analysis's metrics. */
const BODY_LIMIT_DEFAULT = 256 * 1024;

const RAW_BODY_TYPE = 'application/octet-stream';

/**
 * Declares a route that needs a credential.
 * @throws Error if others than operators could name a tenant, or if an erased tenant could only be the caller's.
 */
export function endpoint<
  Documented extends Responses,
  Params extends ObjectSchema = undefined,
  Query extends ObjectSchema = undefined,
  Body extends BodySchema = undefined,
>(definition: EndpointDefinition<Params, Query, Body, Documented>): GuardedEndpoint {
  const { forNamedTenant = false, openToErased = false } = definition;
  if (forNamedTenant && definition.permission !== 'platform:operate')
    throw new Error(`${definition.name} works for a tenant that its path names: it needs platform:operate`);
  if (openToErased && !forNamedTenant)
    throw new Error(`${definition.name} names no tenant: an erased one has no credentials`);
  return {
    ...definition,
    ...erased(definition),
    openToSuspended: definition.openToSuspended ?? false,
    forNamedTenant,
    openToErased,
    hasSecretBody: definition.hasSecretBody ?? false,
    // The handler's types come from the same schemas that parse.
    run: definition.run as GuardedEndpoint['run'],
  };
}

/** Declares a route that anyone may call. */
export function publicEndpoint<
  Documented extends Responses,
  Params extends ObjectSchema = undefined,
  Query extends ObjectSchema = undefined,
  Body extends BodySchema = undefined,
>(definition: PublicEndpointDefinition<Params, Query, Body, Documented>): PublicEndpoint {
  return {
    ...definition,
    ...erased(definition),
    permission: null,
    problems: definition.problems ?? [],
    openToSuspended: true,
    // See above.
    run: definition.run as PublicEndpoint['run'],
  };
}

function erased(
  definition: Parts<ObjectSchema, ObjectSchema, Responses> & Handled<BodySchema, unknown, unknown>,
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
