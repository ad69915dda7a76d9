import type { z } from 'zod';
import type { Permission } from '../auth/permissions.ts';
import type { TenantTransaction } from '../db/tenant-database.ts';
import type { Call } from '../call/call.ts';
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

/**
 * A simple table, declared: its SQL, schemas, routes and their description all come from this. What a table needs beyond
 * it is a domain function beside it, never another member here.
 */
export interface Resource<Body extends z.ZodObject = z.ZodObject> {
  /** Plural, kebab-case: the path and the registrations' first part. */
  readonly name: string;
  /** One of them, in words: problems say it, and audit entries with underscores. */
  readonly one: string;
  readonly description?: string;
  readonly table: string;
  /** The column of the public id, a UUID made here. */
  readonly idColumn: string;
  readonly scope: ResourceScope;
  readonly verbs: readonly Verb[];
  readonly permissions: { readonly read: Permission; readonly write: Permission };
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
}

/** Declares a resource; only its body's type is inferred. */
export function declareResource<Body extends z.ZodObject>(resource: Resource<Body>): Resource<Body> {
  return resource;
}

/** What audit entries call one of them. */
export function auditTypeOf(resource: Resource): string {
  return resource.one.replaceAll(' ', '_');
}
