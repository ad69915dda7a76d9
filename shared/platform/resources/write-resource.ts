import { PLATFORM_TENANT } from '../auth/principal.ts';
import { constraintOf, faultOf } from '../db/errors.ts';
import { json, type Parameter, type TenantTransaction } from '../db/tenant-database.ts';
import type { Call } from '../call/call.ts';
import { readIfMatch, requireIfMatch, versionConflict, type VersionCheck } from '../http/etag.ts';
import { Problem } from '../call/problem.ts';
import { created, noContent, ok, Written, type NoContent, type Reply } from '../call/reply.ts';
import { newId } from '../ids/ids.ts';
import { performPlatformWrite, performWrite, type Effect } from '../writes/perform-write.ts';
import { locationOf, type Collection } from './collection.ts';
import { isSeen, trailOf } from './hidden-rows.ts';
import { etagHeaders, noParent, noSuch, presentRow, type ShownRow } from './read-resource.ts';
import { auditTypeOf, databaseOf, isVersioned, type Resource, type ResourceRow } from './resource.ts';
import {
  bodyFields,
  columnOf,
  deleteText,
  findText,
  hasTenant,
  insertText,
  lockText,
  parentsStatement,
  scopeOf,
  updateText,
} from './resource-sql.ts';

type Queries = Pick<TenantTransaction, 'query'>;
type Body = Readonly<Record<string, unknown>>;

/**
 * `POST`: makes a row.
 * @throws Problem 400 with the faults of the resource's own check, 403 for a row that its writer would not see, 404 without
 * such a parent, 409 if a unique constraint refuses.
 */
export function createResource(
  call: Call,
  collection: Collection,
  body: Body,
): Promise<Reply<201, ShownRow>> {
  return write(call, collection, 'created', (transaction) => makeRow(call, collection, body, transaction));
}

/** Makes a row in the caller's transaction: for {@link createResource}, and for a domain's own write that does more. */
export async function makeRow(
  call: Call,
  collection: Collection,
  body: Body,
  transaction: Queries,
): Promise<Changed<Reply<201, ShownRow>>> {
  const { resource, parentIds } = collection;
  const id = resource.idSchema === undefined ? newId(call.now) : String(body[resource.idColumn]);
  await check(call, resource, body, transaction);
  const columns = {
    ...(resource.parent === undefined ? {} : { [resource.parent.column]: parentIds.at(-1) }),
    ...columnsOf(resource, body),
    ...resource.stamp?.(call),
  };
  const row = await one(transaction, insertText(resource, Object.keys(columns)), [
    id,
    call.now,
    json(columns),
    ...(hasTenant(resource) ? [call.tenant.tenantId] : []),
  ]);
  await resource.onWrite?.({ before: undefined, after: row }, { call, transaction });
  const trail = trailOf(call, [await isSeen(call, collection, id, transaction)]);
  const reply = created<ShownRow>(locationOf(collection, id), presentRow(row), etagHeaders(row));
  return { row, effect: effectOf(resource, 'created', id, reply, trail, bodyFields(resource)) };
}

/**
 * `PUT`: replaces a whole row.
 * @throws Problem 400 without `If-Match`, 404, 412 if another change came first, and what creating throws.
 */
export async function replaceResource(
  call: Call,
  collection: Collection,
  id: string,
  body: Body,
  ifMatch: string | null,
): Promise<Reply<200, ShownRow>> {
  const { resource } = collection;
  const matches = requireIfMatch(ifMatch);
  return write(call, collection, 'replaced', async (transaction) => {
    const before = await lock(call, collection, id, transaction, matches);
    const wasSeen = await isSeen(call, collection, id, transaction);
    await check(call, resource, body, transaction);
    const columns = { ...columnsOf(resource, body), ...resource.stampChange?.(call) };
    const row = await one(transaction, updateText(resource, Object.keys(columns)), [
      id,
      call.now,
      json(columns),
      ...scopeOf(collection, call.tenant.tenantId),
    ]);
    await resource.onWrite?.({ before, after: row }, { call, transaction });
    const trail = trailOf(call, [wasSeen, await isSeen(call, collection, id, transaction)]);
    const changed = bodyFields(resource).filter((field) => !isSame(before[field], row[field]));
    const reply = ok<ShownRow>(presentRow(row), etagHeaders(row));
    return { row, before, effect: effectOf(resource, 'replaced', id, reply, trail, changed) };
  });
}

/**
 * `DELETE` for rows that may be deleted.
 * @throws Problem 404, 409 if other rows refer to it, 412.
 */
export async function deleteResource(
  call: Call,
  collection: Collection,
  id: string,
  ifMatch: string | null,
): Promise<NoContent> {
  const { resource } = collection;
  const matches = readIfMatch(ifMatch);
  return write(call, collection, 'deleted', async (transaction) => {
    const row = await lock(call, collection, id, transaction, matches);
    const trail = trailOf(call, [await isSeen(call, collection, id, transaction)]);
    await transaction.query(deleteText(resource), [id, ...scopeOf(collection, call.tenant.tenantId)]);
    return { row, effect: effectOf(resource, 'deleted', id, noContent, trail) };
  });
}

/**
 * `DELETE` for rows that stay, because other rows refer to them: the row becomes inactive. A repetition changes nothing.
 * @throws Problem 404, 412.
 */
export async function deactivateResource(
  call: Call,
  collection: Collection,
  id: string,
  ifMatch: string | null,
): Promise<NoContent> {
  const { resource } = collection;
  const matches = readIfMatch(ifMatch);
  return write(call, collection, 'deactivated', async (transaction) => {
    const before = await lock(call, collection, id, transaction, matches);
    const wasSeen = await isSeen(call, collection, id, transaction);
    const columns = { is_active: false, ...resource.stampChange?.(call) };
    const text = updateText(resource, Object.keys(columns));
    const parameters = [id, call.now, json(columns), ...scopeOf(collection, call.tenant.tenantId)];
    const row = before['is_active'] === false ? before : await one(transaction, text, parameters);
    if (row !== before) await resource.onWrite?.({ before, after: row }, { call, transaction });
    const trail = trailOf(call, [wasSeen, await isSeen(call, collection, id, transaction)]);
    return { row, effect: effectOf(resource, 'deactivated', id, noContent, trail) };
  });
}

type Change = 'created' | 'replaced' | 'deleted' | 'deactivated';

/** A row that a write made or changed, and what the write caused. */
export interface Changed<Answer extends Reply> {
  readonly row: ResourceRow;
  /** The row before the change, if the change may have moved it. */
  readonly before?: ResourceRow;
  readonly effect: Effect<Answer>;
}

async function write<Answer extends Reply>(
  call: Call,
  collection: Collection,
  change: Change,
  run: (transaction: Queries) => Promise<Changed<Answer>>,
): Promise<Answer> {
  const { resource } = collection;
  const rows: ResourceRow[] = [];
  const perform = async (transaction: Queries): Promise<Effect<Answer>> => {
    await requireParents(call, collection, transaction);
    const { row, before, effect } = await run(transaction);
    rows.push(row, ...(before === undefined ? [] : [before]));
    return effect;
  };
  const options = { database: databaseOf(resource), beyondQuota: resource.essential ?? false };
  try {
    const reply = await (hasTenant(resource)
      ? performWrite(call, perform, options)
      : performPlatformWrite(call, perform, options));
    for (const row of rows) await resource.forget?.(call, row);
    const [row] = rows;
    const later = row === undefined ? undefined : await resource.afterCommit?.(call, idOf(resource, row));
    return later === undefined ? reply : withFields(reply, later);
  } catch (error) {
    throw refusalOf(resource, change, error) ?? error;
  }
}

function idOf(resource: Resource, row: ResourceRow): string {
  return String(row[resource.idColumn]);
}

/** The answer with other values of some fields. An answer without a body, or one that is text already, stays as it is. */
function withFields<Answer extends Reply>(reply: Answer, fields: Readonly<Record<string, unknown>>): Answer {
  const { body } = reply;
  if (typeof body !== 'object' || body === null || body instanceof Written) return reply;
  return { ...reply, body: { ...body, ...fields } };
}

/** The problem for a violated constraint; undefined if the client did not cause it. */
function refusalOf(resource: Resource, change: Change, error: unknown): Problem | undefined {
  const constraint = constraintOf(error) ?? '';
  const conflict = (detail: string): Problem => new Problem('CONFLICT', { detail, cause: error });
  const fault = faultOf(error);
  if (fault === 'unique') {
    const said = resource.conflicts?.[constraint];
    if (said !== undefined) return conflict(said);
    const isId = resource.idSchema !== undefined && constraint === `${resource.table}_pkey`;
    return isId ? conflict(`A ${resource.one} of this ${resource.idColumn} exists already.`) : undefined;
  }
  if (fault === 'foreign_key' && change === 'deleted')
    return conflict(`Other rows refer to the ${resource.one}.`);
  // The parent existed when it was checked, and was deleted since.
  if (fault === 'foreign_key' && change === 'created' && resource.parent !== undefined)
    return noParent(resource);
  return undefined;
}

function columnsOf(resource: Resource, body: Body): Record<string, unknown> {
  return Object.fromEntries(
    bodyFields(resource).map((field) => [columnOf(resource, field), body[field] ?? null]),
  );
}

async function one(
  transaction: Queries,
  text: string,
  parameters: readonly Parameter[],
): Promise<ResourceRow> {
  const [row] = await transaction.query<ResourceRow>(text, parameters);
  if (row === undefined) throw new Error('a locked row was not written');
  return row;
}

async function requireParents(call: Call, collection: Collection, transaction: Queries): Promise<void> {
  const statement = parentsStatement(collection, call.tenant.tenantId, false);
  if (statement === undefined) return;
  const found = await transaction.query(statement.text, statement.parameters);
  if (found.length === 0) throw noParent(collection.resource);
}

async function check(call: Call, resource: Resource, body: Body, transaction: Queries): Promise<void> {
  const errors = (await resource.check?.(body, { call, transaction })) ?? [];
  if (errors.length > 0) throw new Problem('INVALID_REQUEST', { errors });
}

/** Reads the row and locks it until the write is done. Tenants see the platform's default, but cannot change it. */
async function lock(
  call: Call,
  collection: Collection,
  id: string,
  transaction: Queries,
  matches: VersionCheck,
): Promise<ResourceRow> {
  const { resource, parentIds, restricted } = collection;
  const [row] = await transaction.query<ResourceRow>(lockText(resource, restricted), [
    id,
    ...scopeOf(collection, call.tenant.tenantId),
  ]);
  if (row === undefined) {
    const platforms = [id, PLATFORM_TENANT, ...parentIds.slice(-1)];
    const defaults =
      resource.scope === 'shared' ? await transaction.query(findText(resource, restricted), platforms) : [];
    if (defaults.length > 0) {
      const detail = `The ${resource.one} is the platform’s default: only operators change it.`;
      throw new Problem('INSUFFICIENT_RBAC', { detail });
    }
    throw noSuch(resource);
  }
  if (isVersioned(resource) && !matches(row.row_version)) throw versionConflict();
  return row;
}

/** The audit entry contains the names of the written fields, never their content. */
function effectOf<Answer extends Reply>(
  resource: Resource,
  change: Change,
  id: string,
  reply: Answer,
  trail: string,
  fields: readonly string[] = [],
): Effect<Answer> {
  const type = auditTypeOf(resource);
  return {
    reply,
    audit: {
      action: `${type}.${change}`,
      resource_type: type,
      resource_id: id,
      tenant_id: trail,
      details: fields.length === 0 ? {} : { fields },
    },
  };
}

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
