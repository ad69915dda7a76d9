import type { z } from 'zod';
import type { Permission } from '../auth/permissions.ts';
import type { TenantTransaction } from '../db/tenant-database.ts';
import type { Call, TenantDatabases } from '../call/call.ts';
import type { Fault } from '../call/problem.ts';

/** What can be done with a resource's rows. `delete` and `deactivate` are both `DELETE`, and exclude each other. */
export type Verb = 'create' | 'read' | 'list' | 'replace' | 'delete' | 'deactivate';

/**
 * Whose rows a table holds. `tenant`: each tenant its own. `shared`: the same, and the platform's rows are readable by
 * all. `platform`: readable by all, written by operators.
 */
export type ResourceScope = 'tenant' | 'shared' | 'platform';

/** A row as it is read: its fields by their JSON names, and `row_version`, of which the ETag is made. */
export interface ResourceRow {
  readonly [field: string]: unknown;
  readonly created_at: string;
  readonly row_version: number;
}

/** What a check may look at. */
export interface CheckContext {
  readonly call: Call;
  /** The write's own transaction. */
  readonly transaction: Pick<TenantTransaction, 'query'>;
}

/** What a sample is made with. */
export interface SampleContext {
  /** Lower-case letters, digits and underscores that no other sample of the run has. */
  readonly unique: string;
  /** Makes a row of a resource that this one refers to, and answers it. */
  readonly make: (resource: Resource) => Promise<Readonly<Record<string, unknown>>>;
}

/**
 * The resource whose rows these belong to. Their routes lie below it, `/parents/{column}/segment/{id}`. A request reaches
 * them only if the parent exists and the caller sees it, and only those of that parent.
 */
export interface ResourceParent {
  /** In the same database. Not a `shared` one, where two tenants' rows can have one id. */
  readonly resource: Resource;
  /** The column that holds the parent's id: the name of the path's parameter, and a field that is read. */
  readonly column: string;
  /** The path's part between the parent's id and the own one: `milestones`. */
  readonly segment: string;
}

/**
 * A simple table, declared: its SQL, schemas, routes, their description and their tests all come from this. What a table
 * needs beyond it is a domain function beside it, never another member here.
 */
export interface Resource<Body extends z.ZodObject = z.ZodObject> {
  /** Plural, kebab-case: the path, unless there is a parent, and the registrations' first part. */
  readonly name: string;
  /** One of them, in words: problems say it, and audit entries with underscores. */
  readonly one: string;
  /**
   * What the rows are for, in two sentences: the words of the resource's group in the API's document, which has one for each
   * resource, in the order of the app's list of them.
   */
  readonly description: string;
  /** Where the table is; core unless said otherwise. */
  readonly database?: keyof TenantDatabases;
  readonly table: string;
  /** The column of the public id. */
  readonly idColumn: string;
  /**
   * The schema of an id that clients choose when they create a row, and that a replacement cannot change; see `textId`.
   * Without it the id is a UUID made here.
   */
  readonly idSchema?: z.ZodType<string>;
  /** The field that lists are ordered and paged by, a `timestamptz` under its own name; `created_at` unless said otherwise. */
  readonly timeField?: string;
  /**
   * False where clients never change a row: the table then needs no `version` and no `updated_at`, and there is no ETag.
   * True unless said otherwise.
   */
  readonly versioned?: boolean;
  readonly scope: ResourceScope;
  readonly parent?: ResourceParent;
  /**
   * SQL that is true for a row `t` that others than operators may see, and so write. The other rows do not exist for them:
   * not in a list, not by id, not for a change. {@link declareResource} refuses what would tell of them.
   */
  readonly visibleToTenants?: string;
  /** What those may do whose rows these are, or who read the platform's. */
  readonly verbs: readonly Verb[];
  /**
   * What operators may do with the rows of a tenant that they name, by routes below `/platform/tenants/{tenant_id}/`, which
   * need `platform:operate`. The same as `verbs` where tenants do not see all rows, nothing otherwise, unless said.
   */
  readonly operatorVerbs?: readonly Verb[];
  /** `write` may be absent where no verb writes; an absent one is the operators'. */
  readonly permissions: { readonly read: Permission; readonly write?: Permission };
  /**
   * What clients write, on creation and on replacement alike. Strict; each field is required or has a default (null where
   * it may be absent), so that what is replaced is replaced as a whole, and what is read has every field.
   */
  readonly body: Body;
  /** Columns that are read and that no client writes. */
  readonly readOnly?: z.ZodRawShape;
  /** Columns whose name in JSON is another one, by the JSON name. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Fields that a list can be narrowed by, each with the schema of its query parameter. */
  readonly filters?: Readonly<Record<string, z.ZodType<string | number | boolean>>>;
  /** What to say where a unique constraint refuses, by the constraint's name. */
  readonly conflicts?: Readonly<Record<string, string>>;
  /** Columns that the service sets when a row is made. */
  readonly stamp?: (call: Call) => Readonly<Record<string, unknown>>;
  /** What is wrong with a body beyond its schema; nothing is written unless the answer is empty. */
  check?(body: z.output<Body>, context: CheckContext): readonly Fault[] | Promise<readonly Fault[]>;
  /** What must be forgotten once a row was created, changed or removed. After the commit; safe to repeat. */
  readonly forget?: (call: Call, row: ResourceRow) => void | Promise<void>;
  /** True where neither a spent allowance nor a lapsed subscription may stop a write: holds, retention. */
  readonly essential?: boolean;
  /**
   * A valid body to create a row with; where clients create none, the columns of one. Every test that covers all routes
   * makes its rows from this. Rows of the parent are there already.
   */
  sample(context: SampleContext): SampleBody | Promise<SampleBody>;
}

type SampleBody = Readonly<Record<string, unknown>>;

/** What audit entries call one of them. */
export function auditTypeOf(resource: Resource): string {
  return resource.one.replaceAll(' ', '_');
}

/** The permission that a change of a row needs. */
export function writePermissionOf(resource: Resource): Permission {
  return resource.permissions.write ?? 'platform:operate';
}

/** The database that a resource's table is in. */
export function databaseOf(resource: Resource): keyof TenantDatabases {
  return resource.database ?? 'core';
}

/** Whether rows have versions, and so an ETag. */
export function isVersioned(resource: Resource): boolean {
  return resource.versioned ?? true;
}

/** The field that lists are ordered by. */
export function timeFieldOf(resource: Resource): string {
  return resource.timeField ?? 'created_at';
}

/** The parents above a resource, the outermost first. */
export function ancestorsOf(resource: Resource): readonly ResourceParent[] {
  const { parent } = resource;
  return parent === undefined ? [] : [...ancestorsOf(parent.resource), parent];
}

/** Whether there can be rows of a tenant's own that it does not see: for what they say, or for a parent that it does not see. */
export function canBeHidden(resource: Resource): boolean {
  const line = [resource, ...ancestorsOf(resource).map((parent) => parent.resource)];
  return resource.scope !== 'platform' && line.some((one) => one.visibleToTenants !== undefined);
}

/** What operators may do with the rows of a tenant that they name. */
export function operatorVerbsOf(resource: Resource): readonly Verb[] {
  return resource.operatorVerbs ?? (canBeHidden(resource) ? resource.verbs : []);
}

/** The path of a resource's rows below the version, with its parents' parameters: `services/{service_id}/milestones`. */
export function collectionPathOf(resource: Resource, forOperators = false): string {
  const { parent } = resource;
  if (parent === undefined)
    return forOperators ? `platform/tenants/{tenant_id}/${resource.name}` : resource.name;
  return `${collectionPathOf(parent.resource, forOperators)}/{${parent.column}}/${parent.segment}`;
}

/** The name of a verb's route: for those who have the rows, or for operators, who name their tenant. */
export function operationOf({ name }: Resource, verb: Verb, forOperators = false): string {
  return `${forOperators ? 'platform-' : ''}${name}-${verb}`;
}

/**
 * Declares a resource; only its body's type is inferred.
 * @throws Error where it cannot be served as it is declared.
 */
export function declareResource<Body extends z.ZodObject>(resource: Resource<Body>): Resource<Body> {
  const fault = faultOf(resource);
  if (fault !== undefined) throw new Error(`the resource ${resource.name} is declared wrongly: ${fault}`);
  return resource;
}

/**
 * What of a declaration cannot be served, or would tell tenants of rows that they do not see; undefined for a right one.
 * Unique keys are the migration's: that none of them tells of hidden rows is held by a test of every resource
 * (`tests/harness/describe-resource.ts`).
 */
function faultOf(resource: Resource): string | undefined {
  return faultOfVerbs(resource) ?? faultOfParent(resource) ?? faultOfHiding(resource);
}

function faultOfVerbs(resource: Resource): string | undefined {
  for (const verbs of [resource.verbs, operatorVerbsOf(resource)]) {
    if (verbs.includes('delete') && verbs.includes('deactivate'))
      return 'rows are deleted or deactivated, not both';
    if (!isVersioned(resource) && (verbs.includes('replace') || verbs.includes('deactivate')))
      return 'rows without a version are never changed';
  }
  if (resource.scope === 'platform' && resource.operatorVerbs !== undefined)
    return 'operatorVerbs are about the rows of tenants';
  return undefined;
}

function faultOfParent(resource: Resource): string | undefined {
  const parent = resource.parent?.resource;
  if (parent === undefined) return undefined;
  if (parent.scope === 'shared') return 'a parent is no shared resource: two tenants’ rows can have one id';
  if (databaseOf(parent) !== databaseOf(resource)) return 'a parent is in the same database';
  return undefined;
}

function faultOfHiding(resource: Resource): string | undefined {
  if (!canBeHidden(resource)) return undefined;
  // A client's id that a hidden row has would be refused: the refusal tells of that row.
  if (resource.idSchema !== undefined)
    return 'the ids of rows that tenants may not see are made by the service';
  // Refused, the deletion of a row would tell of the hidden ones below it; done, it would take them along.
  if (resource.visibleToTenants === undefined) return undefined;
  const deleted = ancestorsOf(resource).find(
    ({ resource: parent }) => parent.scope !== 'platform' && parent.verbs.includes('delete'),
  );
  return deleted === undefined
    ? undefined
    : `a ${deleted.resource.one} is not deleted by tenants: it may have rows that they do not see`;
}
