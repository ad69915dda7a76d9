import { createHash } from 'node:crypto';
import type { Call } from '../../platform/call/call.ts';
import type { Parameter, StatementOptions } from '../../platform/db/tenant-database.ts';
import { Problem } from '../../platform/call/problem.ts';
import { namesTag } from '../../platform/http/etag.ts';
import { notModified, ok, type NotModified, type Reply } from '../../platform/call/reply.ts';
import { daysAsText, partitionDaysOf, RECORD_COLUMNS } from './record-columns.ts';
import type { StorageRecord } from './schemas.ts';

/** Planned with its values: a kept plan would lock all partitions. */
const UNNAMED: StatementOptions = { prepare: false };

/** Finds a row of the tenant's storage records by id, expired ones left out: its day's partition first. */
export async function findRecordRow<Row extends Record<string, unknown>>(
  call: Call,
  id: string,
  columns: string,
): Promise<Row | undefined> {
  const find = async (
    where: string,
    more: readonly Parameter[],
    options: StatementOptions,
  ): Promise<Row | undefined> => {
    const [row] = await call.tenant.statement<Row>(
      `select r.* from scope, lateral (
         select ${columns} from storage_records
          where tenant_id = scope.tenant_id and id = $2 and expires_at > $3 ${where} offset 0) r`,
      [id, call.now, ...more],
      options,
    );
    return row;
  };
  const days = partitionDaysOf(id);
  const text = days === undefined ? undefined : daysAsText(days, call.now);
  let found: Row | undefined;
  if (text !== undefined) found = await find(`and partition_day in (${text})`, [], { short: true });
  else if (days !== undefined) found = await find('and partition_day = any($4::date[])', [days], UNNAMED);
  // Rows that came from elsewhere may lie under another day than their id says.
  return found ?? find('', [], UNNAMED);
}

/**
 * One record. 304 where the client has it as it stands.
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

/** There is no such record, as far as this tenant may know. */
export function noRecord(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such record.' });
}

/** Changes with what can change: the archive's fields and the day of expiry. */
function etagOf(record: StorageRecord): string {
  const state = [record.id, record.archived_at, record.blob_url, record.access_tier, record.expires_at];
  return `"${createHash('sha256').update(JSON.stringify(state)).digest('base64url').slice(0, 22)}"`;
}
