import type { Call } from '../call/call.ts';
import { etagOf, isNotModified } from '../http/etag.ts';
import { readKeyset } from '../db/keyset.ts';
import { positionIn } from '../http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page, type PagedQuery } from '../http/pagination.ts';
import { Problem } from '../call/problem.ts';
import { notModified, ok, type NotModified, type Reply } from '../call/reply.ts';
import { tenantDatabaseOf, type Collection } from './collection.ts';
import type { Resource, ResourceRow } from './resource.ts';
import { listOf, parentsStatement, readStatement } from './resource-sql.ts';

/** A row as it is read, with or without a version. */
export type AnyRow = Omit<ResourceRow, 'row_version'> & { readonly row_version?: number };

/** The refusal of an id without a row that the tenant sees. */
export function noSuch(resource: Resource): Problem {
  return new Problem('NOT_FOUND', { detail: `There is no such ${resource.one}.` });
}

/**
 * A row as clients see it. The compiler does not know its fields, because they come from the declaration. The statement that
 * reads a row and its schema come from the same declaration, and tests made from it check the row.
 */
export type ShownRow = Record<string, unknown>;

/** A row as clients see it: with `etag` instead of the version, so that a client can replace a row from a list. */
export function presentRow(row: AnyRow): ShownRow {
  const { row_version: version, ...fields } = row;
  return version === undefined ? fields : { ...fields, etag: etagOf(version) };
}

/** A row's ETag as headers; none for a row without a version. */
export function etagHeaders({ row_version: version }: AnyRow): Record<string, string> {
  return version === undefined ? {} : { etag: etagOf(version) };
}

/** @throws Problem 404 unless the parents in the path exist and the caller sees them. */
async function requireParents(call: Call, collection: Collection): Promise<void> {
  const statement = parentsStatement(collection, call.tenant.tenantId, true);
  if (statement === undefined) return;
  const database = tenantDatabaseOf(call, collection.resource);
  const found = await database.statement(statement.text, statement.parameters);
  if (found.length === 0) throw noParent(collection.resource);
}

/** The refusal of a path with a parent that the caller does not see. */
export function noParent(resource: Resource): Problem {
  return noSuch(resource.parent?.resource ?? resource);
}

async function findRow(call: Call, collection: Collection, id: string): Promise<AnyRow | undefined> {
  const { text, parameters } = readStatement(collection, id);
  const [row] = await tenantDatabaseOf(call, collection.resource).statement<AnyRow>(text, parameters);
  return row;
}

/**
 * `GET` of one row: 304 if the client has this version already.
 * @throws Problem 404 if the caller sees no such row or no such parent.
 */
export async function readResource(
  call: Call,
  collection: Collection,
  id: string,
  ifNoneMatch: string | null,
): Promise<Reply<200, ShownRow> | NotModified> {
  const [row] = await Promise.all([findRow(call, collection, id), requireParents(call, collection)]);
  if (row === undefined) throw noSuch(collection.resource);
  const headers = etagHeaders(row);
  const version = row.row_version;
  if (version !== undefined && isNotModified(ifNoneMatch, version)) return notModified(headers);
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
): Promise<Reply<200, Page<ShownRow>>> {
  const { resource } = collection;
  const filters = Object.fromEntries(
    Object.keys(resource.filters ?? {}).map((name) => [
      name,
      query[name] as string | number | boolean | undefined,
    ]),
  );
  const list = listOf(collection, filters);
  const scope = cursorScope(call, query);
  const [reply] = await Promise.all([
    pageReply<ShownRow>(scope, url, readPage(scope, query), {
      read: async (step) =>
        (await readKeyset<AnyRow>(tenantDatabaseOf(call, resource), list, step)).map(presentRow),
      positionOf: positionIn(list),
    }),
    requireParents(call, collection),
  ]);
  return reply;
}
