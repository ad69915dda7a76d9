import { PLATFORM_TENANT } from '../auth/principal.ts';
import type { Call } from '../call/call.ts';
import { Problem } from '../call/problem.ts';
import type { TenantTransaction } from '../db/tenant-database.ts';
import type { Collection } from './collection.ts';
import { findText, parentsStatement, scopeOf } from './resource-sql.ts';
import { canBeHidden } from './resource.ts';

type Queries = Pick<TenantTransaction, 'query'>;

/**
 * Whether the owners of a row see it.
 * @throws Problem 403 if they write it themselves and would not see it: they could never change or remove it again.
 */
export async function isSeen(
  call: Call,
  collection: Collection,
  id: string,
  transaction: Queries,
): Promise<boolean> {
  const { resource, restricted } = collection;
  if (!canBeHidden(resource)) return true;
  const own = await transaction.query(findText(resource, true), [
    id,
    ...scopeOf(collection, call.tenant.tenantId),
  ]);
  const seen = own.length > 0 && (restricted || (await areParentsSeen(call, collection, transaction)));
  if (restricted && !seen) {
    const detail = `Only operators write a ${resource.one} that tenants do not see.`;
    throw new Problem('INSUFFICIENT_RBAC', { detail });
  }
  return seen;
}

async function areParentsSeen(call: Call, collection: Collection, transaction: Queries): Promise<boolean> {
  const statement = parentsStatement({ ...collection, restricted: true }, call.tenant.tenantId, false);
  if (statement === undefined) return true;
  return (await transaction.query(statement.text, statement.parameters)).length > 0;
}

/**
 * The tenant whose audit trail gets a change: the row's tenant if it saw the row before or after. Otherwise the platform,
 * because the tenant's trail would reveal a hidden row.
 */
export function trailOf(call: Call, seen: readonly boolean[]): string {
  return seen.includes(true) ? call.tenant.tenantId : PLATFORM_TENANT;
}
