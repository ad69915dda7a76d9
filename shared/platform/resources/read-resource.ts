import type { Call } from '../call/call.ts';
import { etagOf, isNotModified } from '../http/etag.ts';
import { listReply } from '../http/list-reply.ts';
import type { PagedQuery } from '../http/pagination.ts';
import { Problem } from '../call/problem.ts';
import { ok, type Reply } from '../call/reply.ts';
import { tenantDatabaseOf, type Collection } from './collection.ts';
import type { Resource, ResourceRow } from './resource.ts';
import { listOf, parentsStatement, readStatement } from './resource-sql.ts';

/** A row as it is read, whether or not it has a version. */
export type AnyRow = Omit<ResourceRow, 'row_version'> & { readonly row_version?: number };

/** The refusal of an id that the tenant has no row of. */
export function noSuch(resource: Resource): Problem {
  return new Problem('NOT_FOUND', { detail: `There is no such ${resource.one}.` });
}

/** A row as clients see it: `etag` in place of the version, so that what a list shows can be replaced too. */
export function presentRow(row: AnyRow): Record<string, unknown> {
  const { row_version: version, ...fields } = row;
  return version === undefined ? fields : { ...fields, etag: etagOf(version) };
}

/** A row's ETag as headers: none for a row without a version. */
export function etagHeaders({ row_version: version }: AnyRow): Record<string, string> {
  return version === undefined ? {} : { etag: etagOf(version) };
}

/** @throws Problem 404 unless the parents that the path names exist and the caller sees them. */
async function requireParents(call: Call, collection: Collection): Promise<void> {
  const statement = parentsStatement(collection, call.tenant.tenantId, true);
  if (statement === undefined) return;
  const database = tenantDatabaseOf(call, collection.resource);
  const found = await database.statement(statement.text, statement.parameters);
  if (found.length === 0) throw noParent(collection.resource);
}

/** The refusal of a path that leads through a parent that the caller does not see. */
export function noParent(resource: Resource): Problem {
  return noSuch(resource.parent?.resource ?? resource);
}

async function findRow(call: Call, collection: Collection, id: string): Promise<AnyRow | undefined> {
  const { text, parameters } = readStatement(collection, id);
  const [row] = await tenantDatabaseOf(call, collection.resource).statement<AnyRow>(text, parameters);
  return row;
}

/**
 * `GET` of one: 304 where the client has this version already.
 * @throws Problem 404 if there is none that the caller may see, or no such parent.
 */
export async function readResource(
  call: Call,
  collection: Collection,
  id: string,
  ifNoneMatch: string | null,
): Promise<Reply> {
  const [row] = await Promise.all([findRow(call, collection, id), requireParents(call, collection)]);
  if (row === undefined) throw noSuch(collection.resource);
  const headers = etagHeaders(row);
  const version = row.row_version;
  if (version !== undefined && isNotModified(ifNoneMatch, version)) return { status: 304, headers };
  return ok(presentRow(row), headers);
}

/**
 * `GET` of a page.
 * @throws Problem 404 if there is no such parent.
 */
export async function listResource(
  call: Call,
  collection: Collection,
  query: PagedQuery,
  url: string,
): Promise<Reply> {
  const { resource } = collection;
  const filters = Object.fromEntries(
    Object.keys(resource.filters ?? {}).map((name) => [
      name,
      query[name] as string | number | boolean | undefined,
    ]),
  );
  const database = tenantDatabaseOf(call, resource);
  const [page] = await Promise.all([
    listReply<AnyRow>(call, query, url, listOf(collection, filters), { present: presentRow, database }),
    requireParents(call, collection),
  ]);
  return page;
}
