import { createHash } from 'node:crypto';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { partitionDaysOf, RECORD_COLUMNS } from './record-columns.ts';
import type { StorageRecord } from './schemas.ts';

/** Finds a row of the tenant's storage records by id, expired ones left out: its day's partition first. */
export async function findRecordRow<Row extends Record<string, unknown>>(
  call: Call,
  id: string,
  columns: string,
): Promise<Row | undefined> {
  const find = async (days: readonly string[] | null): Promise<Row | undefined> => {
    const [row] = await call.tenant.statement<Row>(
      `select r.* from scope, lateral (
         select ${columns} from storage_records
          where tenant_id = scope.tenant_id and id = $2 and expires_at > $3
            and ($4::date[] is null or partition_day = any($4::date[])) offset 0) r`,
      [id, call.now, days],
      { prepare: false },
    );
    return row;
  };
  const days = partitionDaysOf(id);
  const found = days === undefined ? undefined : await find(days);
  // Rows that came from elsewhere may lie under another day than their id says.
  return found ?? find(null);
}

/**
 * One record. 304 where the client has it as it stands.
 * @throws Problem 404 if the tenant has none of that id, or it has expired.
 */
export async function readRecord(call: Call, id: string, ifNoneMatch: string | null): Promise<Reply> {
  const row = await findRecordRow<StorageRecord>(call, id, RECORD_COLUMNS);
  if (row === undefined) throw noRecord();
  const etag = etagOf(row);
  const headers = { etag, 'cache-control': 'private, no-cache' };
  if (ifNoneMatch !== null && names(ifNoneMatch, etag)) return { status: 304, headers };
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

/** Whether an `If-None-Match` names the tag; comparison is weak (RFC 9110, 13.1.2). */
function names(ifNoneMatch: string, etag: string): boolean {
  return ifNoneMatch
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === '*' || tag === etag);
}
