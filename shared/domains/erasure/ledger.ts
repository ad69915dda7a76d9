import {
  json,
  type CrossTenantDatabase,
  type CrossTenantTransaction,
  type TenantTransaction,
} from '../../platform/db/tenant-database.ts';
import { addDays } from '../../platform/time/clock.ts';
import type { ErasureReport } from './schemas.ts';
import { FIRST_STEP, type StepName } from './steps.ts';

/** A row of the ledger of erasures. Times are RFC 3339. */
export interface Erasure {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly erasure_id: string;
  /** What is erased: the whole tenant, or one person within it. */
  readonly scope: 'tenant' | 'person';
  readonly person_id: string | null;
  readonly status: 'waiting' | 'running' | 'on_hold' | 'completed' | 'cancelled';
  readonly step: StepName;
  readonly early: boolean;
  readonly reason: string | null;
  readonly requested_by: string;
  readonly requested_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly held_by: readonly string[];
  readonly attempts: number;
  readonly error: string | null;
  readonly report: ErasureReport | null;
  /** Only of those that {@link findDuePersonPasses} finds. */
  readonly next_watch_at?: string | null;
}

/** A step of an erasure, as the ledger has it. */
export interface ErasureStep {
  readonly [column: string]: unknown;
  readonly step: string;
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

const COLUMNS = `tenant_id, erasure_id, scope, person_id, status, step, early, reason, requested_by, requested_at, started_at,
  finished_at, held_by, attempts, error, report`;

/** What stays is looked at again this often. */
export const PASS_EVERY_DAYS = 1;

type Queries = Pick<CrossTenantTransaction, 'query'>;
/** Whose row it is. */
export type ErasureKey = Pick<Erasure, 'tenant_id' | 'erasure_id'>;

/** An erasure to begin. */
export interface NewErasure {
  readonly tenantId: string;
  readonly erasureId: string;
  readonly personId?: string;
  readonly early?: boolean;
  readonly reason?: string | null;
  readonly requestedBy: string;
  readonly at: Date;
}

/** Writes an erasure into the ledger. Undefined if one of the same tenant or person is open already. */
export async function openErasure(queries: Queries, given: NewErasure): Promise<Erasure | undefined> {
  const [row] = await queries.query<Erasure>(
    `insert into ops.erasures (tenant_id, erasure_id, scope, person_id, status, step, early, reason, requested_by, requested_at)
     values ($1, $2, $3, $4, 'waiting', $5, $6, $7, $8, $9)
     on conflict do nothing returning ${COLUMNS}`,
    [
      given.tenantId,
      given.erasureId,
      given.personId === undefined ? 'tenant' : 'person',
      given.personId ?? null,
      FIRST_STEP,
      given.early ?? false,
      given.reason ?? null,
      given.requestedBy,
      given.at,
    ],
  );
  return row;
}

/** The newest erasure of a tenant, or of a person within it; undefined if there was none. */
export async function readNewest(
  queries: Queries,
  tenantId: string,
  personId: string | null,
): Promise<Erasure | undefined> {
  const [row] = await queries.query<Erasure>(
    `select ${COLUMNS} from ops.erasures where tenant_id = $1 and person_id is not distinct from $2::uuid
      order by requested_at desc, erasure_id desc limit 1`,
    [tenantId, personId],
  );
  return row;
}

/** Whether a tenant's erasure may still delete something: it is open, or what stayed is looked at again. */
export async function mayStillErase(
  transaction: Pick<TenantTransaction, 'query'>,
  tenantId: string,
): Promise<boolean> {
  const rows = await transaction.query(
    `select 1 as one from ops.erasures
      where tenant_id = $1 and scope = 'tenant' and (finished_at is null or next_pass_at is not null) limit 1`,
    [tenantId],
  );
  return rows.length > 0;
}

/** Whether a person's erasure in a tenant is under way: nobody can join then. For the cross-tenant role. */
export async function isBeingErased(queries: Queries, tenantId: string, personId: string): Promise<boolean> {
  const rows = await queries.query(
    `select 1 as one from ops.erasures where tenant_id = $1 and person_id = $2 and finished_at is null limit 1`,
    [tenantId, personId],
  );
  return rows.length > 0;
}

/** Whether a person's erasure in another tenant is under way, which still needs the address. For the cross-tenant role. */
export async function isErasedElsewhere(
  queries: Queries,
  tenantId: string,
  personId: string,
): Promise<boolean> {
  const rows = await queries.query(
    `select 1 as one from ops.erasures where tenant_id <> $1 and person_id = $2 and finished_at is null limit 1`,
    [tenantId, personId],
  );
  return rows.length > 0;
}

/** The steps of an erasure so far. */
export function readSteps(queries: Queries, of: ErasureKey): Promise<ErasureStep[]> {
  return queries.query<ErasureStep>(
    `select step, started_at, finished_at, details from ops.erasure_steps
      where tenant_id = $1 and erasure_id = $2 order by started_at, finished_at nulls last`,
    [of.tenant_id, of.erasure_id],
  );
}

/**
 * Erasures that are not over. Those that waited longest for their turn come first, so that neither a large one nor many that a hold stops
 * keep the others waiting.
 */
export function findOpenErasures(core: CrossTenantDatabase, limit: number): Promise<Erasure[]> {
  return core.query<Erasure>(
    `select ${COLUMNS} from ops.erasures where finished_at is null order by updated_at, requested_at, erasure_id limit $1`,
    [limit],
  );
}

/** Completed erasures of tenants of which something stays that may go now, or that are looked at once more. */
export function findDuePasses(core: CrossTenantDatabase, now: Date, limit: number): Promise<Erasure[]> {
  return core.query<Erasure>(
    `select ${COLUMNS} from ops.erasures where next_pass_at <= $1 order by next_pass_at, erasure_id limit $2`,
    [now, limit],
  );
}

/**
 * Completed erasures of persons that are looked at once more: each a day after its end or its last pass, until the watch has ended. Also
 * those that a release without these passes completed.
 */
export function findDuePersonPasses(core: CrossTenantDatabase, now: Date, limit: number): Promise<Erasure[]> {
  return core.query<Erasure>(
    `select ${COLUMNS}, next_watch_at from ops.erasures
      where scope = 'person' and status = 'completed' and not watch_ended
        and coalesce(next_watch_at, finished_at + $2 * interval '1 day') <= $1
      order by coalesce(next_watch_at, finished_at), erasure_id limit $3`,
    [now, PASS_EVERY_DAYS, limit],
  );
}

/** Notes that a step begins. A step that begins again keeps its first beginning. */
export async function beginStep(core: CrossTenantDatabase, of: Erasure, now: Date): Promise<void> {
  await core.transaction(async (transaction) => {
    await transaction.query(
      `update ops.erasures set status = 'running', held_by = '[]', started_at = coalesce(started_at, $3), updated_at = $3
        where tenant_id = $1 and erasure_id = $2 and finished_at is null`,
      [of.tenant_id, of.erasure_id, now],
    );
    await transaction.query(
      `insert into ops.erasure_steps (tenant_id, erasure_id, step, started_at) values ($1, $2, $3, $4) on conflict do nothing`,
      [of.tenant_id, of.erasure_id, of.step, now],
    );
  });
}

/**
 * Notes that a step is over, and which is next, in the transaction of its last effect. False if another run has done so: then nothing
 * is noted, and the ledger tells where the erasure is.
 */
export async function finishStep(
  queries: Queries,
  of: Erasure,
  next: StepName,
  details: Readonly<Record<string, unknown>>,
  now: Date,
): Promise<boolean> {
  const rows = await queries.query(
    `update ops.erasures set step = $4, position = '{}', attempts = 0, error = null, updated_at = $5
      where tenant_id = $1 and erasure_id = $2 and step = $3 and finished_at is null returning 1 as one`,
    [of.tenant_id, of.erasure_id, of.step, next, now],
  );
  if (rows.length === 0) return false;
  await queries.query(
    `update ops.erasure_steps set finished_at = $4, details = $5 where tenant_id = $1 and erasure_id = $2 and step = $3`,
    [of.tenant_id, of.erasure_id, of.step, now, json(details)],
  );
  return true;
}

/** The position within the running step, and whether it is still this step. Locks the row: one run at a time works from it. */
export async function lockPosition(transaction: CrossTenantTransaction, of: Erasure): Promise<unknown> {
  const [row] = await transaction.query<{ position: unknown }>(
    `select position from ops.erasures
      where tenant_id = $1 and erasure_id = $2 and step = $3 and finished_at is null for no key update`,
    [of.tenant_id, of.erasure_id, of.step],
  );
  return row?.position;
}

/** Saves the position within the running step. */
export async function savePosition(queries: Queries, of: Erasure, position: unknown): Promise<void> {
  await queries.query(
    `update ops.erasures set position = $4, updated_at = now() where tenant_id = $1 and erasure_id = $2 and step = $3`,
    [of.tenant_id, of.erasure_id, of.step, json(position)],
  );
}

/** Begins an open erasure again with its first step. */
export async function startOver(core: CrossTenantDatabase, of: Erasure): Promise<void> {
  await core.query(
    `update ops.erasures set step = $3, position = '{}', updated_at = now()
      where tenant_id = $1 and erasure_id = $2 and finished_at is null`,
    [of.tenant_id, of.erasure_id, FIRST_STEP],
  );
}

/** Notes that legal holds stop an erasure. */
export async function noteHeld(
  core: CrossTenantDatabase,
  of: Erasure,
  holds: readonly string[],
): Promise<void> {
  await core.query(
    `update ops.erasures set status = 'on_hold', held_by = $3, updated_at = now()
      where tenant_id = $1 and erasure_id = $2 and finished_at is null`,
    [of.tenant_id, of.erasure_id, json(holds)],
  );
}

/** Notes why a step failed. The next run tries it again. */
export async function noteFailure(core: CrossTenantDatabase, of: Erasure, error: string): Promise<void> {
  await core.query(
    `update ops.erasures set attempts = attempts + 1, error = $3, updated_at = now()
      where tenant_id = $1 and erasure_id = $2 and finished_at is null`,
    [of.tenant_id, of.erasure_id, error],
  );
}

/** Ends an erasure whose tenant has changed its mind in time. */
export async function cancelErasure(queries: Queries, of: Erasure, now: Date): Promise<void> {
  await queries.query(
    `update ops.erasures set status = 'cancelled', finished_at = $3, updated_at = $3
      where tenant_id = $1 and erasure_id = $2 and finished_at is null`,
    [of.tenant_id, of.erasure_id, now],
  );
}

/** Ends an erasure with its report. True for the run that did it. */
export async function completeErasure(
  queries: Queries,
  of: Erasure,
  report: ErasureReport,
  now: Date,
): Promise<boolean> {
  const rows = await queries.query(
    `update ops.erasures set status = 'completed', finished_at = $3, report = $4, position = '{}', error = null, attempts = 0,
            pseudonym_key = null, next_pass_at = $5, updated_at = $3
      where tenant_id = $1 and erasure_id = $2 and finished_at is null returning 1 as one`,
    [
      of.tenant_id,
      of.erasure_id,
      now,
      json(report),
      of.scope === 'tenant' ? addDays(now, PASS_EVERY_DAYS) : null,
    ],
  );
  if (rows.length === 0) return false;
  await queries.query(
    `update ops.erasure_steps set finished_at = $4 where tenant_id = $1 and erasure_id = $2 and step = $3`,
    [of.tenant_id, of.erasure_id, of.step, now],
  );
  return true;
}

/** Notes what a later pass left, and when the next one is; null when nothing is left to do. */
export async function notePass(
  core: CrossTenantDatabase,
  of: Erasure,
  report: ErasureReport,
  { now, isLast }: { readonly now: Date; readonly isLast: boolean },
): Promise<void> {
  await core.query(
    `update ops.erasures set report = $3, next_pass_at = $4, updated_at = $5 where tenant_id = $1 and erasure_id = $2`,
    [of.tenant_id, of.erasure_id, json(report), isLast ? null : addDays(now, PASS_EVERY_DAYS), now],
  );
}

/** Notes that a pass over a person's erasure is over, and when the next one is; null: it was the last. */
export async function notePersonPass(
  queries: Queries,
  of: Erasure,
  { report, now, next }: { readonly report: ErasureReport; readonly now: Date; readonly next: Date | null },
): Promise<void> {
  await queries.query(
    `update ops.erasures set report = $3, next_watch_at = $4, watch_ended = $4::timestamptz is null, updated_at = $5
      where tenant_id = $1 and erasure_id = $2`,
    [of.tenant_id, of.erasure_id, json(report), next, now],
  );
}

export const PSEUDONYM_KEY_BYTES = 32;

/** The key of an erasure's pseudonyms, made by the first who asks. It is dropped when the trail is rewritten. */
export async function pseudonymKeyOf(
  transaction: CrossTenantTransaction,
  of: Erasure,
  fresh: Uint8Array,
): Promise<Buffer> {
  const [row] = await transaction.query<{ pseudonym_key: Buffer }>(
    `update ops.erasures set pseudonym_key = coalesce(pseudonym_key, $3)
      where tenant_id = $1 and erasure_id = $2 returning pseudonym_key`,
    [of.tenant_id, of.erasure_id, fresh],
  );
  if (row === undefined) throw new Error('the erasure is gone');
  return row.pseudonym_key;
}

/** Drops that key: from then on nobody can tell whose pseudonym one is. */
export async function dropPseudonymKey(transaction: CrossTenantTransaction, of: Erasure): Promise<void> {
  await transaction.query(
    `update ops.erasures set pseudonym_key = null where tenant_id = $1 and erasure_id = $2`,
    [of.tenant_id, of.erasure_id],
  );
}
