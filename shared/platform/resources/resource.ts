import type { z } from 'zod';
import type { Permission } from '../auth/permissions.ts';
import type { TenantTransaction } from '../db/tenant-database.ts';
import type { Call, TenantDatabases } from '../call/call.ts';
import type { Fault } from '../call/problem.ts';
import type { PersonColumns } from './person-columns.ts';

/** The operations on a resource's rows. `delete` and `deactivate` are both `DELETE`, so a resource has only one of them. */
export type Verb = 'create' | 'read' | 'list' | 'replace' | 'delete' | 'deactivate';

/**
 * The owners of a table's rows. `tenant`: each tenant has its own. `shared`: the same, and all tenants can read the
 * platform's rows. `platform`: all tenants can read the rows, and operators write them.
 */
export type ResourceScope = 'tenant' | 'shared' | 'platform';

/** A row as it is read: its fields by their JSON names, and `row_version`, from which the ETag is made. */
export interface ResourceRow {
  readonly [field: string]: unknown;
  readonly created_at: string;
  readonly row_version: number;
}

/** What a check may use. */
export interface CheckContext {
  readonly call: Call;
  /** The write's own transaction. */
  readonly transaction: Pick<TenantTransaction, 'query'>;
}

/** What a sample may use. */
export interface SampleContext {
  /** Lower-case letters, digits and underscores that no other sample of the run has. */
  readonly unique: string;
  /** Makes and returns a row of a resource that this one refers to. */
  readonly make: (resource: Resource) => Promise<Readonly<Record<string, unknown>>>;
}

/**
 * The resource of the parent rows. The child's routes are below the parent's: `/parents/{column}/segment/{id}`. A request
 * reaches only children of a parent that exists and that the caller sees.
 */
export interface ResourceParent {
  /** In the same database. Not a `shared` resource, because two tenants' rows of it can have one id. */
  readonly resource: Resource;
  /** The column with the parent's id. It is the name of the path's parameter, and a field of the row. */
  readonly column: string;
  /** The part of the path between the parent's id and the row's id: `milestones`. */
  readonly segment: string;
}

/**
 * The declaration of a simple table. Its SQL, schemas, routes, descriptions and tests all come from this. If a table needs
 * more, write a domain function instead of another member here.
 */
export interface Resource<Body extends z.ZodObject = z.ZodObject> {
  /** Plural, kebab-case. The path, unless there is a parent or a `path`, and the first part of the routes' names. */
  readonly name: string;
  /** The path below the version, if it is not the name: `platform/billing/plans`. */
  readonly path?: string;
  /** One row, in words. Problems use it, and audit entries use it with underscores. */
  readonly one: string;
  /** What the rows are for, in two sentences. It is the text of the resource's group in the API's document. */
  readonly description: string;
  /** The table's database. The default is core. */
  readonly database?: keyof TenantDatabases;
  readonly table: string;
  /** The column of the public id. */
  readonly idColumn: string;
  /**
   * The schema of ids that clients choose when they create a row; see `textId`. A replacement cannot change an id. Without
   * this schema, the service makes a UUID.
   */
  readonly idSchema?: z.ZodType<string>;
  /** The field that orders and pages lists, a `timestamptz` column of the same name. The default is `created_at`. */
  readonly timeField?: string;
  /**
   * False if clients never change a row. The table then needs no `version` and no `updated_at`, and there is no ETag. The
   * default is true.
   */
  readonly versioned?: boolean;
  readonly scope: ResourceScope;
  readonly parent?: ResourceParent;
  /**
   * SQL that is true for a row `t` that its tenant may see and so write. For tenants the other rows do not exist: not in a
   * list, not by id, not for a change. {@link declareResource} refuses declarations that would reveal them.
   */
  readonly visibleToTenants?: string;
  /** What the owners of the rows may do. For the platform's rows: what their readers may do. */
  readonly verbs: readonly Verb[];
  /**
   * What operators may do with the rows of a tenant, by routes below `/platform/tenants/{tenant_id}/`, which need
   * `platform:operate`. The default is the same as `verbs` if rows can be hidden, otherwise nothing.
   */
  readonly operatorVerbs?: readonly Verb[];
  /** `write` may be absent if no verb writes. Otherwise an absent one means that only operators write. */
  readonly permissions: { readonly read: Permission; readonly write?: Permission };
  /**
   * What clients write, on creation and replacement. Strict. Each field is required or has a default (null if it may be
   * absent), so that a replacement covers the whole row, and a row that is read has every field.
   */
  readonly body: Body;
  /** Columns that name a person, and what becomes of them when this person is erased. */
  readonly person?: PersonColumns;
  /** Columns that are read but never written by clients. */
  readonly readOnly?: z.ZodRawShape;
  /** Columns whose name in JSON is another one, by the JSON name. */
  readonly columns?: Readonly<Record<string, string>>;
  /** The fields that filter a list, each with the schema of its query parameter. */
  readonly filters?: Readonly<Record<string, z.ZodType<string | number | boolean>>>;
  /** The texts for refusals by a unique constraint, by the constraint's name. */
  readonly conflicts?: Readonly<Record<string, string>>;
  /** Columns that the service sets when a row is made. */
  readonly stamp?: (call: Call) => Readonly<Record<string, unknown>>;
  /** Columns that the service sets when a row is replaced or deactivated. */
  readonly stampChange?: (call: Call) => Readonly<Record<string, unknown>>;
  /** Returns the faults of a body beyond its schema. If there are any, nothing is written. */
  check?(body: z.output<Body>, context: CheckContext): readonly Fault[] | Promise<readonly Fault[]>;
  /**
   * Writes what follows from a change of a row, in the same transaction: events for others. `before` is undefined for a new row. Not
   * called when a row is deleted.
   */
  readonly onWrite?: (
    change: { readonly before: ResourceRow | undefined; readonly after: ResourceRow },
    context: CheckContext,
  ) => Promise<void>;
  /**
   * Work after the commit that the answer waits for, such as carrying the row to another system. Returns the fields that it changed;
   * they replace those of the answer. It must be safe to repeat, and must not throw: the write has happened. The answer that is
   * kept for a repeated Idempotency-Key is the one from before.
   */
  readonly afterCommit?: (call: Call, id: string) => Promise<Readonly<Record<string, unknown>>>;
  /** Removes cached data after a row was created, changed or removed. Runs after the commit, and must be safe to repeat. */
  readonly forget?: (call: Call, row: ResourceRow) => void | Promise<void>;
  /** True if neither a used-up allowance nor a lapsed subscription may stop a write: holds, retention. */
  readonly essential?: boolean;
  /**
   * A valid body to create a row with. If clients create none: the columns of one. Every test of all routes makes its rows
   * from this. The parent's rows exist already.
   */
  sample(context: SampleContext): SampleBody | Promise<SampleBody>;
}

type SampleBody = Readonly<Record<string, unknown>>;

/** The name of a row in audit entries. */
export function auditTypeOf(resource: Resource): string {
  return resource.one.replaceAll(' ', '_');
}

/** The permission for a change of a row. */
export function writePermissionOf(resource: Resource): Permission {
  return resource.permissions.write ?? 'platform:operate';
}

/** The database of a resource's table. */
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

/** Whether a tenant can have rows that it does not see, because of their content or because it does not see their parent. */
export function canBeHidden(resource: Resource): boolean {
  const line = [resource, ...ancestorsOf(resource).map((parent) => parent.resource)];
  return resource.scope !== 'platform' && line.some((one) => one.visibleToTenants !== undefined);
}

/** What operators may do with a tenant's rows. */
export function operatorVerbsOf(resource: Resource): readonly Verb[] {
  return resource.operatorVerbs ?? (canBeHidden(resource) ? resource.verbs : []);
}

/** The path of a resource's rows below the version, with its parents' parameters: `services/{service_id}/milestones`. */
export function collectionPathOf(resource: Resource, forOperators = false): string {
  const { parent } = resource;
  if (parent === undefined)
    return forOperators ? `platform/tenants/{tenant_id}/${resource.name}` : (resource.path ?? resource.name);
  return `${collectionPathOf(parent.resource, forOperators)}/{${parent.column}}/${parent.segment}`;
}

/** The name of a verb's route: for the owners of the rows, or for operators, who name the owner. */
export function operationOf({ name }: Resource, verb: Verb, forOperators = false): string {
  return `${forOperators ? 'platform-' : ''}${name}-${verb}`;
}

/**
 * Declares a resource. Only its body's type is inferred.
 * @throws Error if the declaration is invalid.
 */
export function declareResource<Body extends z.ZodObject>(resource: Resource<Body>): Resource<Body> {
  const fault = faultOf(resource);
  if (fault !== undefined) throw new Error(`the resource ${resource.name} is declared wrongly: ${fault}`);
  return resource;
}

/**
 * The fault of a declaration that cannot be served, or that would reveal hidden rows to tenants; undefined for a valid one.
 * Unique keys are in migrations, not here: a test of every resource checks that they reveal no hidden rows
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
  if (resource.path !== undefined && (resource.parent !== undefined || operatorVerbsOf(resource).length > 0))
    return 'a path of its own is for rows without a parent and without operators’ routes for tenants';
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
  // A client's id that a hidden row has would be refused, and the refusal would reveal that row.
  if (resource.idSchema !== undefined)
    return 'the ids of rows that tenants may not see are made by the service';
  // To refuse the deletion of a row would reveal hidden rows below it, and to do it would remove them.
  if (resource.visibleToTenants === undefined) return undefined;
  const deleted = ancestorsOf(resource).find(
    ({ resource: parent }) => parent.scope !== 'platform' && parent.verbs.includes('delete'),
  );
  return deleted === undefined
    ? undefined
    : `a ${deleted.resource.one} is not deleted by tenants: it may have rows that they do not see`;
}
