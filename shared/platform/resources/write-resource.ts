import { PLATFORM_TENANT } from '../auth/principal.ts';
import { faultOf, constraintOf } from '../db/errors.ts';
import { json, type Parameter, type TenantTransaction } from '../db/tenant-database.ts';
import type { Call } from '../call/call.ts';
import { etagOf, readIfMatch, requireIfMatch, versionConflict, type VersionCheck } from '../http/etag.ts';
import { Problem } from '../call/problem.ts';
import { created, noContent, ok, type Reply } from '../call/reply.ts';
import { newId } from '../ids/ids.ts';
import { performPlatformWrite, performWrite, type Effect } from '../writes/perform-write.ts';
import { noSuch, presentRow } from './read-resource.ts';
import { auditTypeOf, type Resource, type ResourceRow } from './resource.ts';
import {
  bodyFields,
  columnOf,
  deleteText,
  findText,
  hasTenant,
  insertText,
  lockText,
  updateText,
} from './resource-sql.ts';

type Queries = Pick<TenantTransaction, 'query'>;
type Body = Readonly<Record<string, unknown>>;

/**
 * `POST`: makes a row.
 * @throws Problem 400 with what the resource's own check finds, 409 where a unique constraint refuses.
 */
export function createResource(call: Call, resource: Resource, body: Body): Promise<Reply> {
  const id = newId(call.now);
  return write(call, resource, async (transaction) => {
    await check(call, resource, body, transaction);
    const columns = { ...columnsOf(resource, body), ...resource.stamp?.(call) };
    const row = await one(transaction, insertText(resource, Object.keys(columns)), [
      id,
      call.now,
      json(columns),
      ...tenantOf(call, resource),
    ]);
    const location = `/api/v1/${resource.name}/${id}`;
    const reply = created(location, presentRow(row), { etag: etagOf(row.row_version) });
    return { row, effect: effectOf(resource, 'created', id, reply, bodyFields(resource)) };
  });
}

/**
 * `PUT`: replaces a row as a whole.
 * @throws Problem 400 without `If-Match`, 404, 412 when another change was faster, and what creating throws.
 */
export async function replaceResource(
  call: Call,
  resource: Resource,
  id: string,
  body: Body,
  ifMatch: string | null,
): Promise<Reply> {
  const matches = requireIfMatch(ifMatch);
  return write(call, resource, async (transaction) => {
    const before = await lock(call, resource, id, transaction, matches);
    await check(call, resource, body, transaction);
    const columns = columnsOf(resource, body);
    const row = await one(transaction, updateText(resource, Object.keys(columns)), [
      id,
      call.now,
      json(columns),
      ...tenantOf(call, resource),
    ]);
    const changed = bodyFields(resource).filter((field) => !isSame(before[field], row[field]));
    const reply = ok(presentRow(row), { etag: etagOf(row.row_version) });
    return { row, before, effect: effectOf(resource, 'replaced', id, reply, changed) };
  });
}

/**
 * `DELETE`, where rows may go.
 * @throws Problem 404, 412.
 */
export async function deleteResource(
  call: Call,
  resource: Resource,
  id: string,
  ifMatch: string | null,
): Promise<Reply> {
  const matches = readIfMatch(ifMatch);
  return write(call, resource, async (transaction) => {
    const row = await lock(call, resource, id, transaction, matches);
    await transaction.query(deleteText(resource), [id, ...tenantOf(call, resource)]);
    return { row, effect: effectOf(resource, 'deleted', id, noContent, []) };
  });
}

/**
 * `DELETE`, where rows stay because others name them: the row is active no more. Again, it changes nothing.
 * @throws Problem 404, 412.
 */
export async function deactivateResource(
  call: Call,
  resource: Resource,
  id: string,
  ifMatch: string | null,
): Promise<Reply> {
  const matches = readIfMatch(ifMatch);
  return write(call, resource, async (transaction) => {
    const before = await lock(call, resource, id, transaction, matches);
    const text = updateText(resource, ['is_active']);
    const parameters = [id, call.now, json({ is_active: false }), ...tenantOf(call, resource)];
    const row = before['is_active'] === false ? before : await one(transaction, text, parameters);
    return { row, effect: effectOf(resource, 'deactivated', id, noContent, []) };
  });
}

interface Written {
  readonly row: ResourceRow;
  /** The row as it was, where the change may have moved it. */
  readonly before?: ResourceRow;
  readonly effect: Effect;
}

async function write(
  call: Call,
  resource: Resource,
  change: (transaction: Queries) => Promise<Written>,
): Promise<Reply> {
  const done: ResourceRow[] = [];
  const run = async (transaction: Queries): Promise<Effect> => {
    const written = await change(transaction);
    done.push(written.row, ...(written.before === undefined ? [] : [written.before]));
    return written.effect;
  };
  const metering = { beyondQuota: resource.essential ?? false };
  try {
    const reply = await (hasTenant(resource)
      ? performWrite(call, run, metering)
      : performPlatformWrite(call, run, metering));
    for (const row of done) await resource.forget?.(call, row);
    return reply;
  } catch (error) {
    const detail = faultOf(error) === 'unique' ? resource.conflicts?.[constraintOf(error) ?? ''] : undefined;
    if (detail === undefined) throw error;
    throw new Problem('CONFLICT', { detail, cause: error });
  }
}

function columnsOf(resource: Resource, body: Body): Record<string, unknown> {
  return Object.fromEntries(
    bodyFields(resource).map((field) => [columnOf(resource, field), body[field] ?? null]),
  );
}

function tenantOf(call: Call, resource: Resource): string[] {
  return hasTenant(resource) ? [call.tenant.tenantId] : [];
}

async function one(
  transaction: Queries,
  text: string,
  parameters: readonly Parameter[],
): Promise<ResourceRow> {
  const [row] = await transaction.query<ResourceRow>(text, parameters);
  if (row === undefined) throw new Error('a row that is locked was not written');
  return row;
}

async function check(call: Call, resource: Resource, body: Body, transaction: Queries): Promise<void> {
  const errors = (await resource.check?.(body, { call, transaction })) ?? [];
  if (errors.length > 0) throw new Problem('INVALID_REQUEST', { errors });
}

/** The row, locked until the write is done. The platform's default is seen by tenants, and is not theirs to change. */
async function lock(
  call: Call,
  resource: Resource,
  id: string,
  transaction: Queries,
  matches: VersionCheck,
): Promise<ResourceRow> {
  const [row] = await transaction.query<ResourceRow>(lockText(resource), [id, ...tenantOf(call, resource)]);
  if (row === undefined) {
    const defaults =
      resource.scope === 'shared' ? await transaction.query(findText(resource), [id, PLATFORM_TENANT]) : [];
    if (defaults.length > 0) {
      const detail = `The ${resource.one} is the platform’s default: only operators change it.`;
      throw new Problem('INSUFFICIENT_RBAC', { detail });
    }
    throw noSuch(resource);
  }
  if (!matches(row.row_version)) throw versionConflict();
  return row;
}

/** The audit entry names the fields that were written, never what was written into them. */
function effectOf(
  resource: Resource,
  verb: 'created' | 'replaced' | 'deleted' | 'deactivated',
  id: string,
  reply: Reply,
  fields: readonly string[],
): Effect {
  const type = auditTypeOf(resource);
  return {
    reply,
    audit: {
      action: `${type}.${verb}`,
      resource_type: type,
      resource_id: id,
      details: fields.length === 0 ? {} : { fields },
    },
  };
}

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
