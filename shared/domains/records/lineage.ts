import type { Call } from '../../platform/call/call.ts';
import { findLimited, NOTHING_FOUND, type Found } from '../../platform/db/find-limited.ts';
import { partitionDaysOfAll } from './record-columns.ts';

// What lineage reads of records.

/** A storage record with its blob's fields. */
export interface RecordItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly tenant_id: string;
  readonly created_at: string;
  readonly detector: string;
  readonly model_version: string;
  readonly source_id: string;
  readonly archived_at: string | null;
  readonly expires_at: string;
  readonly container_name: string;
  readonly blob_url: string | null;
  readonly blob_sha256: string | null;
  readonly blob_bytes: number | null;
  readonly access_tier: string | null;
}

/** Storage records by id. */
export async function findRecords(call: Call, ids: readonly string[]): Promise<Found<RecordItem>> {
  if (ids.length === 0) return NOTHING_FOUND;
  return findLimited<RecordItem>(
    call.tenant,
    `select id, tenant_id, created_at, detector, model_version, source_id, archived_at, expires_at, container_name, blob_url,
            encode(blob_sha256, 'hex') as blob_sha256, blob_bytes, access_tier from storage_records
      where tenant_id = scope.tenant_id and expires_at > $2 and id = any($3::uuid[])
        and ($4::date[] is null or partition_day = any($4::date[]))`,
    [call.now, ids, partitionDaysOfAll(ids)],
    ids.length,
    { prepare: false },
  );
}
