import type { AccessTier } from '../../../platform/blob/blob-store.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { instantOfId } from '../../../platform/ids/ids.ts';
import { partitionDaysOfAll } from '../record-columns.ts';
import { orchestrationIdsSql } from '../../orchestration/ids.ts';
import { heldSql } from '../../retention/holds.ts';
import type { RetentionClass, TieredBlob } from '../../retention/tiers.ts';

/** A blob of `ops.blobs`. */
export interface BookedBlob extends TieredBlob {
  readonly tenantId: string;
  readonly container: string;
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  /** The storage record that it documents. */
  readonly recordId: string | undefined;
}

/** A row of `ops.blobs`, for {@link bookedBlob}. */
export interface BlobRow {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly container_name: string;
  readonly blob_name: string;
  readonly retention_class: RetentionClass;
  readonly access_tier: AccessTier;
  readonly sha256: string;
  readonly bytes: number;
  readonly created_at: string;
  readonly tier_changed_at: string;
  readonly delete_after: string;
  readonly record_id: string | null;
}

/** The columns of {@link BlobRow}. */
export const BLOB_COLUMNS = `tenant_id, container_name, blob_name, retention_class, access_tier, encode(sha256, 'hex') as sha256,
  bytes, created_at, tier_changed_at, delete_after, record_id`;

/** The blobs that are due the longest. The caller moves each one's next check into the future, so that the next call finds others. */
export async function findDueBlobs(
  database: CrossTenantDatabase,
  now: Date,
  limit: number,
): Promise<BookedBlob[]> {
  const rows = await inBatch(database, (transaction) =>
    transaction.query<BlobRow>(
      `select ${BLOB_COLUMNS}
         from ops.blobs where deleted_at is null and next_check_at <= $1
        order by next_check_at limit $2`,
      [now, limit],
    ),
  );
  return rows.map(bookedBlob);
}

/** Makes a blob from its row. */
export function bookedBlob(row: BlobRow): BookedBlob {
  return {
    tenantId: row.tenant_id,
    container: row.container_name,
    name: row.blob_name,
    retentionClass: row.retention_class,
    tier: row.access_tier,
    createdAt: new Date(row.created_at),
    tierChangedAt: new Date(row.tier_changed_at),
    deleteAfter: new Date(row.delete_after),
    bytes: row.bytes,
    sha256: row.sha256,
    recordId: row.record_id ?? undefined,
  };
}

/** Why a blob stays although its retention is over. */
export type KeptBecause = 'on_hold' | 'record_stays';

// The record's mapping id is kept with the blob, because the record and the mapping may have expired long ago.
const BLOB_IDS = `array[b.record_id, b.source_id] || ${orchestrationIdsSql({
  tenantId: 'b.tenant_id',
  orchestrationId: 'b.orchestration_id',
})}`;

const GIVEN = recordset({
  tenant_id: 'text',
  container_name: 'text',
  blob_name: 'text',
  retention_class: 'text',
  record_id: 'uuid',
  created_at: 'timestamptz',
});

const held = (dataTypes: Parameters<typeof heldSql>[0]['dataTypes']): string =>
  heldSql({
    tenantId: 'g.tenant_id',
    dataTypes,
    ids: BLOB_IDS,
    createdAt: 'g.created_at',
  });

/**
 * Finds the blobs that must stay: those under a hold, and those of an existing record (a tenant may keep records for ten
 * years). The map's keys are made by {@link keyOf}.
 */
export async function findKept(
  transaction: CrossTenantTransaction,
  blobs: readonly BookedBlob[],
): Promise<Map<string, KeptBecause>> {
  const given = blobs.map((blob) => ({
    tenant_id: blob.tenantId,
    container_name: blob.container,
    blob_name: blob.name,
    retention_class: blob.retentionClass,
    record_id: blob.recordId ?? null,
    created_at: (blob.recordId === undefined ? undefined : instantOfId(blob.recordId)) ?? blob.createdAt,
  }));
  const rows = await transaction.query<{ key: string; because: KeptBecause }>(
    `select g.tenant_id || '/' || g.container_name || '/' || g.blob_name as key, k.because
       from ${GIVEN.from('g', 2)}
       cross join lateral (
         select record_id, source_id, orchestration_id, tenant_id from ops.blobs b
          where b.tenant_id = g.tenant_id and b.container_name = g.container_name and b.blob_name = g.blob_name offset 0) b
       cross join lateral (
         select case
           when case g.retention_class when 'mapping_results' then ${held(['storage_records', 'mappings'])}
                                       when 'audit_logs' then ${held(['audit_logs'])} else ${held([])} end
           then 'on_hold'
           when (select true from storage_records r
                  where r.tenant_id = g.tenant_id and r.id = g.record_id
                    and ($1::date[] is null or r.partition_day = any($1::date[])) limit 1)
           then 'record_stays' end as because) k
      where k.because is not null`,
    [partitionDaysOfAll(blobs.flatMap((blob) => blob.recordId ?? [])), ...GIVEN.parameters(given)],
    { prepare: false },
  );
  return new Map(rows.map((row) => [row.key, row.because]));
}

/** A blob's key in {@link findKept}. */
export function keyOf(blob: BookedBlob): string {
  return `${blob.tenantId}/${blob.container}/${blob.name}`;
}
