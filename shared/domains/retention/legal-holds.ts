import { z } from 'zod';
import { PLATFORM_TENANT } from '../../platform/auth/principal.ts';
import type { Call } from '../../platform/call/call.ts';
import { etagOf } from '../../platform/http/etag.ts';
import { instant, tenantParams } from '../../platform/http/fields.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { auditEvent } from '../../platform/writes/caused-events.ts';
import { performWrite, type Effect } from '../../platform/writes/perform-write.ts';
import { isTenantErased } from '../tenancy/erase-tenant.ts';
import { DATA_TYPES } from './expiry.ts';
import { collectionOf } from '../../platform/resources/collection.ts';
import { nameText } from '../../platform/resources/field-schemas.ts';
import { noSuch, presentRow, type ShownRow } from '../../platform/resources/read-resource.ts';
import { declareResource, type ResourceRow } from '../../platform/resources/resource.ts';
import { lockText, updateText } from '../../platform/resources/resource-sql.ts';
import { makeRow } from '../../platform/resources/write-resource.ts';
import { json, type TenantTransaction } from '../../platform/db/tenant-database.ts';
import { namesSql, type ExpiringTable } from './expiring-table.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** Ids that one hold can name. To hold more, use kinds or times. */
const RECORD_IDS_MAX = 1000;

const scope = z
  .strictObject({
    data_types: z.array(z.enum(DATA_TYPES)).min(1).optional(),
    record_ids: z
      .array(uuid)
      .min(1)
      .max(RECORD_IDS_MAX)
      .optional()
      .describe(
        'Ids of records, mappings, orchestrations (their `request_id` or `job_id`), analyses or metrics. A mapping’s id holds its ' +
          'record and blob. An orchestration’s id holds those of all its mappings, also of later ones; its `job_id` also keeps the ' +
          'orchestration, for any kinds and times. An id that names nothing of the scope’s kinds and times is refused.',
      ),
    created_from: instant.optional(),
    created_to: instant.optional(),
  })
  .refine(
    ({ created_from: from, created_to: to }) =>
      from === undefined || to === undefined || Date.parse(from) <= Date.parse(to),
    { path: ['created_to'], message: 'must not be before created_from' },
  )
  .describe('What is held: rows that all given parts cover. `{}` holds everything of the tenant.');

const legalHold = z.strictObject({ name: nameText, reason: z.string().min(1).max(5000), scope });

/**
 * Holds prevent deletion at any age. {@link legalHoldsOver} adds the check of ids. A hold is placed and released, never
 * changed or deleted.
 */
export const legalHolds = declareResource({
  name: 'legal-holds',
  one: 'legal hold',
  description: 'What must not be deleted, however old it gets. A hold acts until it is released.',
  table: 'legal_holds',
  person: { placed_by: 'pseudonym', released_by: 'pseudonym' },
  idColumn: 'hold_id',
  scope: 'tenant',
  verbs: ['create', 'list', 'read'],
  permissions: { read: 'retention:read', write: 'retention:write' },
  body: legalHold,
  readOnly: {
    placed_by: z.string(),
    placed_at: z.string(),
    released_by: z.string().nullable(),
    released_at: z.string().nullable(),
  },
  filters: { name: nameText },
  stamp: ({ principal, now }) => ({ placed_by: principal.actor, placed_at: now.toISOString() }),
  essential: true,
  sample: ({ unique }) => ({ name: unique, reason: unique, scope: { data_types: ['analyses'] } }),
});

/** Waits for batches that delete (`inDeletingBatch`), and lets none begin until the transaction ends. */
const EXCLUDE_DELETING = 'lock table legal_holds in row exclusive mode';

/**
 * Legal holds over these tables. A hold is refused if one of its ids would hold nothing: the id is unknown, its row is already
 * deleted, or the row is not of the scope's kinds and times.
 */
export function legalHoldsOver(tables: readonly ExpiringTable[]): typeof legalHolds {
  const unknownIds = `select w.n::int from unnest($2::uuid[]) with ordinality w (id, n)
                       where not ${namesSql(tables)} order by w.n`;
  return {
    ...legalHolds,
    async check({ scope: held }, { call, transaction }) {
      const { record_ids: ids, ...covers } = held;
      if (ids === undefined) return [];
      // A row that is found here cannot be deleted before the hold is placed.
      await transaction.query(EXCLUDE_DELETING);
      const parameters = [call.tenant.tenantId, ids, json(held)];
      const unknown = await transaction.query<{ n: number }>(unknownIds, parameters);
      const of = Object.keys(covers).length === 0 ? '' : ' of these kinds and times';
      return unknown.map(({ n }) => ({
        pointer: `/scope/record_ids/${n - 1}`,
        detail: `names nothing${of} that could be held`,
      }));
    },
  };
}

/** `{hold_id}` in a path. */
export const holdParams = z.object({ hold_id: uuid });

/** `{tenant_id}` and `{hold_id}` in an operator's path. */
export const operatorsHoldParams = tenantParams.extend(holdParams.shape);

/** Whether an erasure may still delete something of an erased tenant. The domain of erasures knows. */
type MayStillErase = (transaction: TenantTransaction, tenantId: string) => Promise<boolean>;

/**
 * Places a hold for an operator, also on a tenant that is being erased: nobody can sign in for it any more. A tenant's own hold is
 * made by the declared resource; both make the row with `makeRow`.
 * @throws Problem 400 like the tenant's own; 409 for an erased tenant of which nothing is left to delete.
 */
export function placeHold(
  call: Call,
  holds: typeof legalHolds,
  body: z.output<typeof legalHold>,
  mayStillErase: MayStillErase,
): Promise<Reply<201, ShownRow>> {
  return writeHold(call, async (transaction, isErased) => {
    if (isErased && !(await mayStillErase(transaction, call.tenant.tenantId)))
      throw new Problem('CONFLICT', {
        detail: 'The erasure of the tenant is over: nothing is left that could be held.',
      });
    const { effect } = await makeRow(call, collectionOf(call, holds, call.params), body, transaction);
    return effect;
  });
}

/**
 * Releases a hold, for its tenant or for an operator. A repeated call changes nothing.
 * @throws Problem 404.
 */
export function releaseHold(call: Call, holdId: string): Promise<Reply<200, ShownRow>> {
  return writeHold(call, async (transaction) => {
    const own = [call.tenant.tenantId];
    const [held] = await transaction.query<ResourceRow>(lockText(legalHolds), [holdId, ...own]);
    if (held === undefined) throw noSuch(legalHolds);
    const released = { released_by: call.principal.actor, released_at: call.now.toISOString() };
    const text = updateText(legalHolds, Object.keys(released));
    const [row] =
      held['released_at'] === null
        ? await transaction.query<ResourceRow>(text, [holdId, call.now, json(released), ...own])
        : [held];
    if (row === undefined) throw new Problem('INTERNAL_ERROR');
    return {
      reply: ok(presentRow(row), { etag: etagOf(row.row_version) }),
      audit: { action: 'legal_hold.released', resource_type: 'legal_hold', resource_id: holdId },
    };
  });
}

/**
 * A write of a hold while no batch deletes. What an operator does for a tenant is in the platform's trail and in the tenant's. An
 * erased tenant's trail takes nothing more.
 */
function writeHold<Answer extends Reply>(
  call: Call,
  write: (transaction: TenantTransaction, isErased: boolean) => Promise<Effect<Answer>>,
): Promise<Answer> {
  const { tenantId } = call.tenant;
  const isOperators = tenantId !== call.principal.tenantId;
  return performWrite(
    call,
    async (transaction) => {
      // An erasure's batches, and the one that ends the tenant, come before this or see what it did.
      await transaction.query(EXCLUDE_DELETING);
      const isErased = isOperators && (await isTenantErased(transaction, tenantId));
      const effect = await write(transaction, isErased);
      if (!isOperators) return effect;
      const audit = { ...effect.audit, details: { ...effect.audit.details, tenant_id: tenantId } };
      return {
        ...effect,
        audit: { ...audit, tenant_id: PLATFORM_TENANT },
        events: isErased ? [] : [auditEvent(call, { ...audit, tenant_id: tenantId })],
      };
    },
    { beyondQuota: true },
  );
}
