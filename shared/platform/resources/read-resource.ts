import type { Call } from '../call/call.ts';
import { etagOf, isNotModified } from '../http/etag.ts';
import { listReply } from '../http/list-reply.ts';
import { Problem } from '../call/problem.ts';
import { ok, type Reply } from '../call/reply.ts';
import type { Resource, ResourceRow } from './resource.ts';
import { listOf, readStatement } from './resource-sql.ts';
import type { ResourceQuery } from './resource-schemas.ts';

/** The refusal of an id that the tenant has no row of. */
export function noSuch(resource: Resource): Problem {
  return new Problem('NOT_FOUND', { detail: `There is no such ${resource.one}.` });
}

/** A row as clients see it: `etag` in place of the version, so that what a list shows can be replaced too. */
export function presentRow(row: ResourceRow): Record<string, unknown> {
  const { row_version: version, ...fields } = row;
  return { ...fields, etag: etagOf(version) };
}

async function findRow(call: Call, resource: Resource, id: string): Promise<ResourceRow | undefined> {
  const { text, parameters } = readStatement(resource, id);
  const [row] = await call.tenant.statement<ResourceRow>(text, parameters);
  return row;
}

/**
 * `GET` of one: 304 where the client has this version already.
 * @throws Problem 404 if there is none that the tenant may see.
 */
export async function readResource(
  call: Call,
  resource: Resource,
  id: string,
  ifNoneMatch: string | null,
): Promise<Reply> {
  const row = await findRow(call, resource, id);
  if (row === undefined) throw noSuch(resource);
  const headers = { etag: etagOf(row.row_version) };
  if (isNotModified(ifNoneMatch, row.row_version)) return { status: 304, headers };
  return ok(presentRow(row), headers);
}

/** `GET` of a page. */
export function listResource(
  call: Call,
  resource: Resource,
  query: ResourceQuery,
  url: string,
): Promise<Reply> {
  const filters = Object.fromEntries(
    Object.keys(resource.filters ?? {}).map((name) => [
      name,
      query[name] as string | number | boolean | undefined,
    ]),
  );
  return listReply(call, query, url, listOf(resource, filters), { present: presentRow });
}
