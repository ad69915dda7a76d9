import { createHash } from 'node:crypto';
import type { Call } from '../../platform/call/call.ts';
import type { Parameter, StatementOptions } from '../../platform/db/tenant-database.ts';
import { Problem } from '../../platform/call/problem.ts';
import { namesTag } from '../../platform/http/etag.ts';
import { notModified, ok, type NotModified, type Reply } from '../../platform/call/reply.ts';
import { daysAsText, partitionDaysOf, RECORD_COLUMNS } from './record-columns.ts';
import type { StorageRecord } from './schemas.ts';

/** Planned with its values, since a kept plan would lock all partitions. */
const UNNAMED: StatementOptions = { prepare: false };

/** Finds a row of the tenant's unexpired storage records by id, first in its day's partition. */
export async function findRecordRow<Row extends Record<string, unknown>>(
  call: Call,
  id: string,
  columns: string,
): Promise<Row | undefined> {
  const find = async (
    where: readonly string[],
    more: readonly Parameter[],
    options: StatementOptions,
  ): Promise<Row | undefined> => {
    const selects = where.map(
      (condition) => `select ${columns} from storage_records
          where tenant_id = scope.tenant_id and id = $2 and expires_at > $3 ${condition}`,
    );
    const [row] = await call.tenant.statement<Row>(
      `select r.* from scope, lateral (${selects.join(' union all ')} offset 0) r`,
      [id, call.now, ...more],
      options,
    );
    return row;
  };
  const days = partitionDaysOf(id);
  const texts = days?.map((day) => daysAsText([day], call.now));
  let found: Row | undefined;
  if (texts?.every((text) => text !== undefined) === true) {
    // One select for each partition. For both days in one list the planner counts two searches of the primary key. In a small
    // partition another index is then cheaper, and the plan is kept as the partition grows.
    const where = texts.map((text) => `and partition_day = ${text}`);
    found = await find(where, [], { short: true });
  } else if (days !== undefined) found = await find(['and partition_day = any($4::date[])'], [days], UNNAMED);
  // Imported rows may be in another day's partition than their id's.
  return found ?? find([''], [], UNNAMED);
}

/**
 * One record. 304 if the client has the present version.
 * @throws Problem 404 if the tenant has none of that id, or it has expired.
 */
export async function readRecord(
  call: Call,
  id: string,
  ifNoneMatch: string | null,
): Promise<Reply<200, StorageRecord> | NotModified> {
  const row = await findRecordRow<StorageRecord>(call, id, RECORD_COLUMNS);
  if (row === undefined) throw noRecord();
  const etag = etagOf(row);
  const headers = { etag, 'cache-control': 'private, no-cache' };
  if (namesTag(ifNoneMatch, etag)) return notModified(headers);
  return ok(row, headers);
}

/** The answer for a record that does not exist or belongs to another tenant. */
export function noRecord(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such record.' });
}

/** Built from the fields that can change: the archive's fields and the expiry. */
function etagOf(record: StorageRecord): string {
  const state = [record.id, record.archived_at, record.blob_url, record.access_tier, record.expires_at];
  return `"${createHash('sha256').update(JSON.stringify(state)).digest('base64url').slice(0, 22)}"`;
}
