import { CONTAINERS, type BlobStore } from '../../../platform/blob/blob-store.ts';
import { inParallel } from '../../../platform/blob/in-parallel.ts';
import {
  EventRefused,
  type ConsumeServices,
  type EventConsumer,
} from '../../../platform/consume/event-consumer.ts';
import {
  ARCHIVE_REQUESTED,
  archiveData,
  AUDIT_RECORDED,
  newEvent,
  USAGE_RECORDED,
  type ArchiveData,
  type AuditData,
  type CloudEvent,
  type UsageData,
} from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import { log } from '../../../platform/log/log.ts';
import { activeSpan, causedBy, causesOf, inChildSpan } from '../../../platform/telemetry/tracing.ts';
import { deleteAfter, firstCheck } from '../../retention/tiers.ts';
import { auditEventId, usageEventId } from '../../../platform/writes/event-cause.ts';
import { addToOutbox, newEntry, outboxInsert } from '../../../platform/writes/outbox.ts';
import { blobSha256 } from './blob-sha256.ts';
import { findStoredRecords } from './archivable-records.ts';
import { archivedCause, archiveDetails, RECORD_ARCHIVED, storageUsage } from './archived-events.ts';
import { archiveDocument, type ArchivableRecord, type ArchiveDocument } from './archive-document.ts';
import { partitionDaysOfAll } from '../record-columns.ts';

/** Uploads at once: Azurite and a storage partition answer 16 about as fast as one. */
const UPLOADS_AT_ONCE = 16;
/** Records in memory at once: each may have 64 KB of sealed source, in a few encodings. */
const CHUNK_SIZE = 50;
/** Longer than any backlog. The expiry job requests lost archives again, with a new time. */
const MAX_AGE_DAYS = 400;
/** The actor in the audit trail. */
const ACTOR = 'service:archive-records';

/** SQL for a mapping's orchestration. The mapping domain owns this SQL. */
export type OrchestrationOf = (of: { tenantId: string; mappingId: string }) => string;

/** Writes records to their blobs, for the queue `archive-records`. */
export function archiveConsumerOf(orchestrationOf: OrchestrationOf): EventConsumer<ArchiveData> {
  return {
    type: ARCHIVE_REQUESTED,
    schema: archiveData,
    maxAgeDays: MAX_AGE_DAYS,
    write: async (services, events, now) => {
      const wanted = events.map(({ data, traceparent }) => ({ ...data, traceparent }));
      const { conflicts } = await archiveRecords(services, orchestrationOf, wanted, now);
      if (conflicts.length === 0) return;
      // A failing batch is halved until one event is left. Only that one is logged.
      if (events.length === 1) await reportConflict(services, conflicts[0], now);
      throw new EventRefused('is a record whose blob exists with other bytes');
    },
  };
}

/** A record to archive, and the span of the request that wrote it. */
export interface WantedArchive extends ArchiveData {
  readonly traceparent?: string | undefined;
}

/** The result of archiving. */
export interface ArchiveOutcome {
  /** Records that this call archived. */
  readonly archived: number;
  /** Records whose blob exists with other bytes. They stay unarchived and so are not deleted. */
  readonly conflicts: readonly ArchiveData[];
}

/**
 * Writes each record's document to its blob, marks the record archived, adds the blob to `ops.blobs` and publishes usage and
 * audit events. This happens once for each record, also with repeated or parallel calls. A record that does not exist (any
 * more), or is archived, is skipped.
 * @throws when the database or the blob storage is unavailable.
 */
export async function archiveRecords(
  services: ConsumeServices,
  orchestrationOf: OrchestrationOf,
  wanted: readonly WantedArchive[],
  now: Date,
): Promise<ArchiveOutcome> {
  const text = markArchivedText(orchestrationOf);
  const byRecord = new Map(wanted.map((one) => [`${one.tenant_id}/${one.record_id}`, one]));
  const distinct = [...byRecord.values()];
  const wantedOf = (record: ArchivableRecord) => byRecord.get(`${record.tenant_id}/${record.id}`);
  let archived = 0;
  const conflicts: ArchiveData[] = [];
  for (let from = 0; from < distinct.length; from += CHUNK_SIZE) {
    const records = await findStoredRecords(
      services.crossTenant.core,
      distinct.slice(from, from + CHUNK_SIZE),
    );
    const unarchived = records.filter((record) => record.archived_at === null);
    const written = await inParallel(unarchived, UPLOADS_AT_ONCE, (record) =>
      inTraceOf(wantedOf(record), () => writeDocument(services.blobs, record)),
    );
    archived += await markArchived(
      services,
      text,
      written
        .filter((one) => one.url !== undefined)
        .map((one) => ({ ...one, traceparent: wantedOf(one.record)?.traceparent })),
      now,
    );
    for (const { record, url } of written)
      if (url === undefined) conflicts.push({ tenant_id: record.tenant_id, record_id: record.id });
  }
  return { archived, conflicts };
}

/** A record's blob is a span in the trace of the request that wrote the record, and is linked to the batch. */
function inTraceOf<T>(wanted: WantedArchive | undefined, run: () => Promise<T>): Promise<T> {
  const [parent] = causesOf([wanted?.traceparent]);
  const batch = activeSpan();
  const links = batch === undefined ? [] : [batch];
  return inChildSpan('archive record', { ...(parent === undefined ? {} : { parent, links }) }, run);
}

interface WrittenDocument {
  readonly traceparent?: string | undefined;
  readonly record: ArchivableRecord;
  readonly document: ArchiveDocument;
  /** Undefined if the blob exists with another document. */
  readonly url: string | undefined;
}

async function writeDocument(blobs: BlobStore, record: ArchivableRecord): Promise<WrittenDocument> {
  const document = archiveDocument(record);
  const sha256 = document.sha256.toString('hex');
  const { written, url } = await blobs.create(CONTAINERS.records, document.name, document.bytes, {
    sha256,
    tenant_id: record.tenant_id,
    record_id: record.id,
  });
  if (written) return { record, document, url };
  const found = await blobSha256(blobs, CONTAINERS.records, document.name);
  // Neither written nor found: the blob was deleted in between. The request comes again.
  if (found === undefined) throw new Error('a blob vanished while it was compared');
  if (found === sha256) return { record, document, url };
  return { record, document, url: undefined };
}

const ARCHIVED = recordset({
  tenant_id: 'text',
  id: 'uuid',
  source_id: 'uuid',
  blob_url: 'text',
  blob_name: 'text',
  blob_sha256: 'bytea',
  blob_bytes: 'bigint',
  created_at: 'timestamptz',
  next_check_at: 'timestamptz',
  delete_after: 'timestamptz',
  outbox_id: 'uuid',
  events: 'jsonb',
});

// `num_nulls(archived_at) = 1` instead of `is null`, so that the planner cannot use the index of unarchived records. Without
// statistics for the day's partition that index looks small, and the planner reads all of it.
const markArchivedText = (orchestrationOf: OrchestrationOf): string => `
  with given as materialized (
    select * from ${ARCHIVED.from('g', 4)}),
  marked as (
    update storage_records r
       set blob_url = g.blob_url, container_name = $2, blob_sha256 = g.blob_sha256,
           blob_bytes = g.blob_bytes, access_tier = 'Hot', archived_at = $1
      from given g
     where r.tenant_id = g.tenant_id and r.id = g.id and num_nulls(r.archived_at) = 1
       and ($3::date[] is null or r.partition_day = any($3::date[]))
    returning g.*),
  blob as (
    insert into ops.blobs (tenant_id, container_name, blob_name, retention_class, access_tier, sha256, bytes,
      created_at, tier_changed_at, next_check_at, delete_after, source_id, orchestration_id)
    select m.tenant_id, $2, m.blob_name, 'mapping_results', 'Hot', m.blob_sha256, m.blob_bytes,
           m.created_at, m.created_at, m.next_check_at, m.delete_after, m.source_id,
           ${orchestrationOf({ tenantId: 'm.tenant_id', mappingId: 'm.source_id' })}
      from marked m
    on conflict (tenant_id, container_name, blob_name) do nothing),
  caused as (
    ${outboxInsert('select m.outbox_id, m.tenant_id, m.events from marked m')} returning id)
  select id as outbox_id from caused`;

/** Marks records archived and publishes their events. Returns how many were not archived before. */
async function markArchived(
  services: ConsumeServices,
  text: string,
  written: readonly WrittenDocument[],
  now: Date,
): Promise<number> {
  if (written.length === 0) return 0;
  const entries = written.map((one) => causedBy(one.traceparent, () => outboxOf(one, now)));
  const rows = written.map((one, n) => ({
    ...columnsOf(one, now),
    outbox_id: entries[n]?.id,
    events: entries[n]?.events,
  }));
  const marked = await inBatch(services.crossTenant.core, (transaction) =>
    transaction.query<{ outbox_id: string }>(
      text,
      [now, CONTAINERS.records, partitionDaysOfAll(rows.map(({ id }) => id)), ...ARCHIVED.parameters(rows)],
      { prepare: false },
    ),
  );
  const caused = new Set(marked.map((row) => row.outbox_id));
  for (const entry of entries) if (caused.has(entry.id)) services.publisher.publish(entry);
  return caused.size;
}

function columnsOf({ record, document, url }: WrittenDocument, now: Date) {
  const createdAt = new Date(record.created_at);
  return {
    tenant_id: record.tenant_id,
    id: record.id,
    source_id: record.source_id,
    blob_url: url ?? null,
    blob_name: document.name,
    blob_sha256: document.sha256,
    blob_bytes: document.bytes.length,
    // The blob's own age: the minimum stay in a tier counts from the day the blob was written.
    created_at: now,
    next_check_at: firstCheck('mapping_results', now),
    delete_after: deleteAfter('mapping_results', createdAt),
  };
}

/**
 * The events of an archived record: its storage as usage, of the time of the record, and an audit entry. A record that a restored
 * database has as not archived is archived again. Its events then are the same ones, so its storage is counted once.
 */
function outboxOf({ record, document }: WrittenDocument, now: Date): OutboxEntry {
  const usage: UsageData = { tenant_id: record.tenant_id, ...storageUsage(record, document.bytes.length) };
  const details = archiveDetails({
    container: CONTAINERS.records,
    sha256: document.sha256.toString('hex'),
    bytes: document.bytes.length,
  });
  const of = { tenant_id: record.tenant_id, record_id: record.id };
  const cause = archivedCause(record);
  const auditId = auditEventId(cause, RECORD_ARCHIVED);
  const events = [
    newEvent(USAGE_RECORDED, usage, cause.at, usageEventId(cause, usage.usage_type)),
    archiveAudit(of, RECORD_ARCHIVED, 'success', details, now, auditId),
  ];
  return newEntry('core', record.tenant_id, events, now);
}

function archiveAudit(
  of: ArchiveData,
  action: string,
  outcome: AuditData['outcome'],
  details: Record<string, unknown>,
  now: Date,
  id?: string,
): CloudEvent<AuditData> {
  const data: AuditData = {
    tenant_id: of.tenant_id,
    actor: ACTOR,
    action,
    resource_type: 'record',
    resource_id: of.record_id,
    outcome,
    details,
  };
  return newEvent(AUDIT_RECORDED, data, now, id);
}

/** Other bytes have the name of a record's document. That is an incident, for the log and the audit trail. */
async function reportConflict(
  services: ConsumeServices,
  of: ArchiveData | undefined,
  now: Date,
): Promise<void> {
  if (of === undefined) return;
  log.error('archive-conflict', { tenant_id: of.tenant_id, record_id: of.record_id });
  const event = archiveAudit(of, 'record.archive_conflict', 'failure', {}, now);
  const entry = newEntry('core', of.tenant_id, [event], now);
  await addToOutbox(services.crossTenant.core, [entry]);
  services.publisher.publish(entry);
}
