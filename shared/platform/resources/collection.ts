import type { Call } from '../call/call.ts';
import type { TenantDatabase } from '../db/tenant-database.ts';
import { ancestorsOf, collectionPathOf, databaseOf, type Resource } from './resource.ts';

/** The rows of a resource that one request may reach. */
export interface Collection {
  readonly resource: Resource;
  /** The parents' ids from the path, the outermost first. */
  readonly parentIds: readonly string[];
  /** False for operators, who also reach rows that tenants do not see. */
  readonly restricted: boolean;
  /** The tenant in an operator's path. The call's databases are that tenant's. */
  readonly namedTenant?: string;
}

/** The collection for a request's path and credential. */
export function collectionOf(
  call: Call,
  resource: Resource,
  params: Readonly<Record<string, unknown>> = {},
): Collection {
  const namedTenant = params['tenant_id'];
  return {
    resource,
    parentIds: ancestorsOf(resource).map(({ column }) => String(params[column])),
    restricted: !call.principal.permissions.has('platform:operate'),
    ...(typeof namedTenant === 'string' ? { namedTenant } : {}),
  };
}

/** The resource's database as the caller's tenant sees it. */
export function tenantDatabaseOf(call: Call, resource: Resource): TenantDatabase {
  return call.databases[databaseOf(resource)];
}

/** The path of a row's URL. */
export function locationOf({ resource, parentIds, namedTenant }: Collection, id: string): string {
  const ids = [...(namedTenant === undefined ? [] : [namedTenant]), ...parentIds][Symbol.iterator]();
  const path = collectionPathOf(resource, namedTenant !== undefined).replace(/\{\w+\}/g, () =>
    encodeURIComponent(ids.next().value ?? ''),
  );
  return `/api/v1/${path}/${encodeURIComponent(id)}`;
}
