import type { z } from 'zod';
import type { Permission } from '../auth/permissions.ts';
import type { Call } from '../call/call.ts';
import type { NotModified, OtherText, Reply } from '../call/reply.ts';

/** A documented answer. Without a schema and a media type it has no body. */
export interface ResponseDefinition {
  readonly description: string;
  /** The JSON body. The handler's replies of this status are held to it when they are compiled. */
  readonly schema?: z.ZodType;
  readonly headers?: readonly string[];
  /** The media type of a body that is no JSON. */
  readonly contentType?: string;
}

/** A route's documented answers, by status. Refusals are not among them: each route can throw a `Problem`. */
export type Responses = Readonly<Record<number, ResponseDefinition>>;

type ObjectSchema = z.ZodObject | undefined;
type BodySchema = z.ZodType | undefined;

interface Described {
  /** Noun and verb, kebab-case: the Azure function's name and the OpenAPI operation id. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the route prefix: `v1/records/{id}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
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

/** What a public route sees of its request. */
export interface PublicInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly ifNoneMatch: string | null;
  /** A header by its name in any case; null where it is absent. */
  readonly header: (name: string) => string | null;
}

/** What is left of a part of the request once its schema has parsed it. */
type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/**
 * What the handler of a route may reply: one of the documented statuses, each with the body of its own schema.
 * `{ 200: { schema: mapping } }` allows a `Reply<200, Mapping>`, and 304 as any route does.
 *
 * The body is the schema's output, not its input: nothing parses an answer, so a field with a default has to be there
 * already, and it is the output that the API's document tells of.
 */
export type ReplyOf<Documented extends Responses> =
  NotModified | OneOf<{ [Status in keyof Documented & number]: Reply<Status, BodyOf<Documented[Status]>> }>;

type OneOf<Members> = Members[keyof Members];

type BodyOf<Definition> = Definition extends { readonly schema: z.ZodType }
  ? z.output<Definition['schema']>
  : Definition extends { readonly contentType: string }
    ? OtherText
    : undefined;

/** The parts of a definition that its handler's types are taken from, but for the body. */
interface Parts<Params extends ObjectSchema, Query extends ObjectSchema, Documented extends Responses> {
  readonly params?: Params;
  readonly query?: Query;
  readonly responses: Documented;
  /** Bytes of the body; {@link BODY_LIMIT_DEFAULT} unless said otherwise. */
  readonly bodyLimit?: number;
}

/** How a route takes its body, with the handler of that: as JSON by a schema (or not at all), or as its bytes. Never both. */
type Handled<Body extends BodySchema, RunOnJson, RunOnBytes> =
  | {
      readonly body?: Body;
      readonly rawBody?: never;
      readonly rawBodyType?: never;
      readonly run: RunOnJson;
    }
  | {
      readonly body?: never;
      /**
       * The handler gets the body's bytes exactly as they were sent, and nothing parses them: a webhook's signature covers its
       * bytes.
       */
      readonly rawBody: true;
      /** The media type that the API's document gives the bytes; `application/octet-stream` unless said otherwise. */
      readonly rawBodyType?: string;
      readonly run: RunOnBytes;
    };

type Run<Params, Query, Body, Documented extends Responses> = (
  call: Call,
  input: Input<Parsed<Params>, Parsed<Query>, Body>,
) => Promise<ReplyOf<Documented>>;

/** One definition of a route: registration, validation, permission, OpenAPI and handler all come from it. */
export type EndpointDefinition<
  Params extends ObjectSchema,
  Query extends ObjectSchema,
  Body extends BodySchema,
  Documented extends Responses,
> = Described &
  Parts<Params, Query, Documented> &
  Handled<Body, Run<Params, Query, Parsed<Body>, Documented>, Run<Params, Query, Buffer, Documented>> & {
    readonly permission: Permission;
    /** True where a tenant whose subscription lapsed may still write: keys, holds, settings. */
    readonly openToSuspended?: boolean;
    /**
     * True where an operator works for the tenant that `{tenant_id}` in the path names: the call's databases are that
     * tenant's. Needs `platform:operate`.
     */
    readonly forNamedTenant?: boolean;
  };

type PublicRun<Params, Query, Body, Documented extends Responses> = (
  input: PublicInput<Parsed<Params>, Parsed<Query>, Body>,
) => Promise<ReplyOf<Documented>>;

/**
 * A route without a caller: health, the API's own documents, a webhook that proves itself by a signature. What it needs of
 * the process's services, the composition root hands to the function that declares it.
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
  >;

/** An endpoint with its schemas' types forgotten: what the wrapper and OpenAPI work from. */
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
  readonly permission: Permission;
  readonly forNamedTenant: boolean;
  readonly run: (call: Call, input: Input<unknown, unknown, unknown>) => Promise<Reply | NotModified>;
}

/** A route that anyone may call. */
export interface PublicEndpoint extends Erased {
  readonly permission: null;
  readonly run: (input: PublicInput<unknown, unknown, unknown>) => Promise<Reply | NotModified>;
}

/** Any route of the app. */
export type Endpoint = GuardedEndpoint | PublicEndpoint;

/** What fits any route's body but those that say otherwise: an analysis's metrics are the largest ordinary ones. */
const BODY_LIMIT_DEFAULT = 256 * 1024;

const RAW_BODY_TYPE = 'application/octet-stream';

/**
 * Declares a route that needs a credential.
 * @throws Error where others than operators could name a tenant.
 */
export function endpoint<
  Documented extends Responses,
  Params extends ObjectSchema = undefined,
  Query extends ObjectSchema = undefined,
  Body extends BodySchema = undefined,
>(definition: EndpointDefinition<Params, Query, Body, Documented>): GuardedEndpoint {
  const forNamedTenant = definition.forNamedTenant ?? false;
  if (forNamedTenant && definition.permission !== 'platform:operate')
    throw new Error(`${definition.name} works for a tenant that its path names: it needs platform:operate`);
  return {
    ...definition,
    ...erased(definition),
    openToSuspended: definition.openToSuspended ?? false,
    forNamedTenant,
    // The schemas that parse are the ones that the handler's types were taken from.
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
    openToSuspended: true,
    // As above.
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
