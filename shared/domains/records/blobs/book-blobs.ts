import type { AccessTier } from '../../../platform/blob/blob-store.ts';
import { AUDIT_RECORDED, newEvent, type AuditData } from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { partitionDaysOfAll } from '../record-columns.ts';
import { systemClock } from '../../../platform/time/clock.ts';
import { newEntry, outboxInsert } from '../../../platform/writes/outbox.ts';
import type { DueBlob } from './due-blobs.ts';

/** Who the audit trail says it was. */
const ACTOR = 'job:blobs-tier';
/** The longest resource id that the audit trail takes. */
const RESOURCE_ID_MAX = 255;

/** What is to be written down of a blob after a look at it. */
export interface BlobEntry {
  readonly blob: DueBlob;
  /** The tier it was moved to; undefined where it stayed. */
  readonly tier: AccessTier | undefined;
  readonly nextCheckAt: Date;
  /** True where the storage has no such blob, though its time is not over. */
  readonly missing: boolean;
}

/** Writes tiers and next looks down, in the books and at the records that still exist. Answers what is to be published. */
export async function bookLooks(
  database: CrossTenantDatabase,
  entries: readonly BlobEntry[],
  now: Date,
): Promise<readonly OutboxEntry[]> {
  if (entries.length === 0) return [];
  const caused = entries
    .filter((entry) => entry.missing)
    .map(({ blob }) => audit(blob, 'blob.missing', 'failure'));
  const rows = entries.map(({ blob, tier, nextCheckAt }) => ({
    ...identity(blob),
    record_id: blob.recordId ?? null,
    tier: tier ?? null,
    next_check_at: nextCheckAt,
  }));
  await database.query(
    `with given as (
       select * from json_to_recordset($1::text::json) as g (tenant_id text, container_name text, blob_name text,
         record_id uuid, tier text, next_check_at timestamptz)),
     booked as (
       update ops.blobs b
          set access_tier = coalesce(g.tier, b.access_tier), next_check_at = g.next_check_at,
              tier_changed_at = case when g.tier is null then b.tier_changed_at else $2 end
         from given g
        where b.tenant_id = g.tenant_id and b.container_name = g.container_name and b.blob_name = g.blob_name
          and b.deleted_at is null),
     told as (
       ${outboxInsert(`select id, tenant_id, events
         from json_to_recordset($3::text::json) as o (id uuid, tenant_id text, events jsonb)`)})
     update storage_records r set access_tier = g.tier from given g
      where g.tier is not null and r.tenant_id = g.tenant_id and r.id = g.record_id
        and ($4::date[] is null or r.partition_day = any($4::date[]))`,
    [
      JSON.stringify(rows),
      now,
      JSON.stringify(caused.map(({ id, tenantId, events }) => ({ id, tenant_id: tenantId, events }))),
      partitionDaysOfAll(entries.flatMap(({ blob }) => blob.recordId ?? [])),
    ],
    { prepare: false },
  );
  return caused;
}

/** Writes deletions down, each with its audit event; a blob that was written down before is left out. */
export async function bookDeletions(
  transaction: CrossTenantTransaction,
  blobs: readonly DueBlob[],
  now: Date,
): Promise<readonly OutboxEntry[]> {
  if (blobs.length === 0) return [];
  const entries = blobs.map((blob) => audit(blob, 'blob.deleted', 'success'));
  const rows = blobs.map((blob, n) => ({ ...identity(blob), ...entries[n] }));
  const booked = await transaction.query<{ id: string }>(
    `with given as (
       select * from json_to_recordset($1::text::json) as g (tenant_id text, container_name text, blob_name text, id uuid,
         events jsonb)),
     booked as (
       update ops.blobs b set deleted_at = $2 from given g
        where b.tenant_id = g.tenant_id and b.container_name = g.container_name and b.blob_name = g.blob_name
          and b.deleted_at is null
       returning g.id, g.tenant_id, g.events)
     ${outboxInsert('select id, tenant_id, events from booked')} returning id`,
    [JSON.stringify(rows), now],
  );
  const fresh = new Set(booked.map((row) => row.id));
  return entries.filter((entry) => fresh.has(entry.id));
}

function identity(blob: DueBlob): { tenant_id: string; container_name: string; blob_name: string } {
  return { tenant_id: blob.tenantId, container_name: blob.container, blob_name: blob.name };
}

function audit(blob: DueBlob, action: string, outcome: AuditData['outcome']): OutboxEntry {
  // When it happened, not as of when: a queue refuses what lies ahead.
  const now = systemClock.now();
  const data: AuditData = {
    tenant_id: blob.tenantId,
    actor: ACTOR,
    action,
    resource_type: 'blob',
    resource_id: `${blob.container}/${blob.name}`.slice(0, RESOURCE_ID_MAX),
    outcome,
    details: {
      retention_class: blob.retentionClass,
      access_tier: blob.tier,
      bytes: blob.bytes,
      sha256: blob.sha256,
      delete_after: blob.deleteAfter.toISOString(),
      record_id: blob.recordId ?? null,
    },
  };
  return newEntry('core', blob.tenantId, [newEvent(AUDIT_RECORDED, data, now)], now);
}
