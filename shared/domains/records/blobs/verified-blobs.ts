import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { partitionDaysOfAll } from '../record-columns.ts';
import { BLOB_COLUMNS, bookedBlob, type BlobRow, type BookedBlob } from './due-blobs.ts';

/** The position of the walk over the newest blobs, in the order in which they were written. */
export interface NewestPosition {
  /** RFC 3339 with microseconds, or '-infinity' before the first blob. */
  readonly at: string;
  readonly tenant: string;
  readonly name: string;
}

/** The position of the walk over all blobs, in the order of their keys. After the last blob it starts again. */
export interface AllPosition {
  readonly tenant: string;
  readonly container: string;
  readonly name: string;
}

/** The next blobs that were written before an instant. */
export async function findNewest(
  database: CrossTenantDatabase,
  after: NewestPosition,
  before: Date,
  limit: number,
): Promise<{ blobs: BookedBlob[]; next: NewestPosition | undefined }> {
  const rows = await inBatch(database, (transaction) =>
    transaction.query<BlobRow>(
      `select ${BLOB_COLUMNS} from ops.blobs
        where deleted_at is null and created_at <= $1 and (created_at, tenant_id, blob_name) > ($2::timestamptz, $3, $4)
        order by created_at, tenant_id, blob_name limit $5`,
      [before, after.at, after.tenant, after.name, limit],
      { prepare: false },
    ),
  );
  const last = rows.at(-1);
  const next =
    last === undefined ? undefined : { at: last.created_at, tenant: last.tenant_id, name: last.blob_name };
  return { blobs: rows.map(bookedBlob), next };
}

/**
 * The next blobs by key. `next` is the end of the page, also of a page whose blobs are all deleted or too young; undefined after
 * the last blob.
 */
export async function findNext(
  database: CrossTenantDatabase,
  after: AllPosition,
  before: Date,
  limit: number,
): Promise<{ blobs: BookedBlob[]; next: AllPosition | undefined }> {
  const rows = await inBatch(database, (transaction) =>
    transaction.query<BlobRow & { readonly is_due: boolean }>(
      `select ${BLOB_COLUMNS}, deleted_at is null and created_at <= $4 as is_due from ops.blobs
        where (tenant_id, container_name, blob_name) > ($1, $2, $3)
        order by tenant_id, container_name, blob_name limit $5`,
      [after.tenant, after.container, after.name, before, limit],
      { prepare: false },
    ),
  );
  const last = rows.at(-1);
  const next =
    last === undefined
      ? undefined
      : { tenant: last.tenant_id, container: last.container_name, name: last.blob_name };
  return { blobs: rows.filter((row) => row.is_due).map(bookedBlob), next };
}

const KEYS = recordset({ tenant_id: 'text', container_name: 'text', blob_name: 'text', record_id: 'uuid' });

function keysOf(blobs: readonly BookedBlob[]): string[] {
  return KEYS.parameters(
    blobs.map((blob) => ({
      tenant_id: blob.tenantId,
      container_name: blob.container,
      blob_name: blob.name,
      record_id: blob.recordId ?? null,
    })),
  );
}

/** Stores that blobs were written again: they are in the Hot tier, and their tier is due for a check. */
export async function bookRestored(
  transaction: CrossTenantTransaction,
  restored: readonly BookedBlob[],
  now: Date,
): Promise<void> {
  if (restored.length === 0) return;
  await transaction.query(
    `update ops.blobs b set access_tier = 'Hot', tier_changed_at = $1, next_check_at = $1 from ${KEYS.from('g', 2)}
      where b.tenant_id = g.tenant_id and b.container_name = g.container_name and b.blob_name = g.blob_name`,
    [now, ...keysOf(restored)],
  );
  await transaction.query(
    `update storage_records r set access_tier = 'Hot' from ${KEYS.from('g', 2)}
      where r.tenant_id = g.tenant_id and r.id = g.record_id
        and ($1::date[] is null or r.partition_day = any($1::date[]))`,
    [partitionDaysOfAll(restored.flatMap(({ recordId }) => recordId ?? [])), ...keysOf(restored)],
    { prepare: false },
  );
}
