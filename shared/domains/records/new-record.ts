import { ARCHIVE_REQUESTED, newEvent } from '../../platform/bus/events.ts';
import type { Call } from '../../platform/call/call.ts';
import type { Columns } from '../../platform/db/recordset.ts';
import { addDays, utcDay } from '../../platform/time/clock.ts';
import { RETENTION_DAYS_DEFAULT, retentionDaysOf } from '../retention/expiry.ts';
import { KEPT_DAY } from './record-columns.ts';

/** A new record's own columns in the caller's recordset; see {@link newRecordValues}. */
export const NEW_RECORD_COLUMNS = {
  record_id: 'uuid',
  partition_day: 'date',
  record_expires_at: 'timestamptz',
  azure_region: 'text',
  resource_group: 'text',
  subscription_id: 'text',
} as const satisfies Columns;

/** The values of {@link NEW_RECORD_COLUMNS}: the record's retention, its partition, and where it was made. */
export function newRecordValues(call: Call, recordId: string) {
  const days = retentionDaysOf(call.context, 'storage_records');
  return {
    record_id: recordId,
    // A day's partition is dropped as a whole, so a record with another retention is in the partition of kept rows.
    partition_day: days === RETENTION_DAYS_DEFAULT ? utcDay(call.now) : KEPT_DAY,
    record_expires_at: addDays(call.now, days),
    azure_region: call.services.settings.AZURE_REGION,
    resource_group: call.services.settings.AZURE_RESOURCE_GROUP,
    subscription_id: call.services.settings.AZURE_SUBSCRIPTION_ID ?? null,
  };
}

/** A record's values from its source row, as SQL expressions over the caller's FROM item. */
export interface NewRecordSource {
  readonly tenant_id: string;
  /** The source row's id, which the sealing of `source_data` is bound to. */
  readonly source_id: string;
  readonly source_data: string;
  readonly encryption_key_id: string;
  readonly mapped_data: string;
  readonly model_version: string;
  readonly detector: string;
  readonly metadata: string;
  readonly created_at: string;
}

/**
 * SQL that inserts one storage record for each row of `from`: a FROM item, with a WHERE if needed, that has the columns
 * {@link NEW_RECORD_COLUMNS}. The statement needs the day's partition: see `withPartition`.
 */
export function insertRecordsSql(source: NewRecordSource, from: string): string {
  return `insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector,
        timestamp, metadata, source_id, encryption_key_id, created_at, expires_at, azure_region, resource_group,
        subscription_id)
      select ${source.tenant_id}, record_id, partition_day, ${source.source_data}, ${source.mapped_data},
             ${source.model_version}, ${source.detector}, ${source.created_at}, ${source.metadata}, ${source.source_id},
             ${source.encryption_key_id}, ${source.created_at}, record_expires_at, azure_region, resource_group,
             subscription_id
        from ${from}`;
}

/** The event that requests a record's archive. It must be in the transaction that inserts the record. */
export function archiveRequested(call: Call, recordId: string): ReturnType<typeof newEvent> {
  return newEvent(ARCHIVE_REQUESTED, { tenant_id: call.tenant.tenantId, record_id: recordId }, call.now);
}
