import type { AccessTier } from '../../../platform/blob/blob-store.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { partitionDaysOfAll } from '../record-columns.ts';
import { addToOutbox, outboxInsert } from '../../../platform/writes/outbox.ts';
import { blobEvent } from './blob-events.ts';
import type { BookedBlob } from './due-blobs.ts';

/** The actor in the audit trail. */
const ACTOR = 'job:blobs-tier';

// `num_nulls(deleted_at) = 1` instead of `is null`, so that the planner cannot use the index of due blobs. Without statistics for
// the table that index looks small, and the planner reads all of it.

/** A blob's new tier and next check. */
export interface BlobEntry {
  readonly blob: BookedBlob;
  /** The new tier; undefined if the blob did not move. */
  readonly tier: AccessTier | undefined;
  readonly nextCheckAt: Date;
  /** True if the storage has no such blob although its retention is not over. */
  readonly missing: boolean;
}

const LOOKS = recordset({
  tenant_id: 'text',
  container_name: 'text',
  blob_name: 'text',
  tier: 'text',
  next_check_at: 'timestamptz',
});
const TIERS = recordset({ tenant_id: 'text', record_id: 'uuid', tier: 'text' });
const DELETIONS = recordset({
  tenant_id: 'text',
  container_name: 'text',
  blob_name: 'text',
  id: 'uuid',
  events: 'jsonb',
});

/** Stores tiers and next checks in `ops.blobs`, and tiers at existing records. Returns the events to publish. */
export async function bookLooks(
  database: CrossTenantDatabase,
  entries: readonly BlobEntry[],
  now: Date,
): Promise<readonly OutboxEntry[]> {
  if (entries.length === 0) return [];
  const caused = entries
    .filter((entry) => entry.missing)
    .map(({ blob }) => blobEvent(ACTOR, blob, 'blob.missing', 'failure'));
  const looks = entries.map(({ blob, tier, nextCheckAt }) => ({
    ...identity(blob),
    tier: tier ?? null,
    next_check_at: nextCheckAt,
  }));
  const tiers = entries.flatMap(({ blob, tier }) =>
    tier === undefined || blob.recordId === undefined
      ? []
      : [{ tenant_id: blob.tenantId, record_id: blob.recordId, tier }],
  );
  await inBatch(database, async (transaction) => {
    await transaction.query(
      `update ops.blobs b
          set access_tier = coalesce(g.tier, b.access_tier), next_check_at = g.next_check_at,
              tier_changed_at = case when g.tier is null then b.tier_changed_at else $1 end
         from ${LOOKS.from('g', 2)}
        where b.tenant_id = g.tenant_id and b.container_name = g.container_name and b.blob_name = g.blob_name
          and num_nulls(b.deleted_at) = 1`,
      [now, ...LOOKS.parameters(looks)],
    );
    await addToOutbox(transaction, caused);
    await transaction.query(
      `update storage_records r set access_tier = g.tier from ${TIERS.from('g', 2)}
        where r.tenant_id = g.tenant_id and r.id = g.record_id
          and ($1::date[] is null or r.partition_day = any($1::date[]))`,
      [partitionDaysOfAll(tiers.map((row) => row.record_id)), ...TIERS.parameters(tiers)],
      { prepare: false },
    );
  });
  return caused;
}

/** Stores deletions, each with its audit event. Skips blobs that are already marked deleted. */
export async function bookDeletions(
  transaction: CrossTenantTransaction,
  blobs: readonly BookedBlob[],
  now: Date,
): Promise<readonly OutboxEntry[]> {
  if (blobs.length === 0) return [];
  const entries = blobs.map((blob) => blobEvent(ACTOR, blob, 'blob.deleted', 'success'));
  const rows = blobs.map((blob, n) => ({
    ...identity(blob),
    id: entries[n]?.id,
    events: entries[n]?.events,
  }));
  const booked = await transaction.query<{ id: string }>(
    `with booked as (
       update ops.blobs b set deleted_at = $1 from ${DELETIONS.from('g', 2)}
        where b.tenant_id = g.tenant_id and b.container_name = g.container_name and b.blob_name = g.blob_name
          and num_nulls(b.deleted_at) = 1
       returning g.id, g.tenant_id, g.events)
     ${outboxInsert('select id, tenant_id, events from booked')} returning id`,
    [now, ...DELETIONS.parameters(rows)],
  );
  const fresh = new Set(booked.map((row) => row.id));
  return entries.filter((entry) => fresh.has(entry.id));
}

function identity(blob: BookedBlob): { tenant_id: string; container_name: string; blob_name: string } {
  return { tenant_id: blob.tenantId, container_name: blob.container, blob_name: blob.name };
}
