import type { ArchiveData } from '../../../platform/bus/events.ts';
import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantDatabase } from '../../../platform/db/tenant-database.ts';
import { partitionDaysOfAll } from '../record-columns.ts';
import type { ArchivableRecord } from './archive-document.ts';

/** A record with all fields of its document. */
export interface StoredRecord extends ArchivableRecord {
  readonly archived_at: string | null;
}

const WANTED = recordset({ tenant_id: 'text', record_id: 'uuid' });

/**
 * The existing records of these ids. Each is looked up by its key, in its own subquery: a new day's partition has no statistics,
 * so a join could read all of it.
 */
export function findStoredRecords(
  database: Pick<CrossTenantDatabase, 'query'>,
  wanted: readonly ArchiveData[],
): Promise<StoredRecord[]> {
  return database.query<StoredRecord>(
    `select r.* from ${WANTED.from('w', 2)}
      cross join lateral (
        select r.tenant_id, r.id, r.source_data, r.mapped_data, r.model_version, r.detector, r.timestamp, r.metadata,
               r.source_table, r.source_id, r.s3_key, r.encryption_key_id, r.created_at, r.azure_region, r.resource_group,
               r.subscription_id, r.archived_at
          from storage_records r
         where r.tenant_id = w.tenant_id and r.id = w.record_id
           and ($1::date[] is null or r.partition_day = any($1::date[])) offset 0) r`,
    [partitionDaysOfAll(wanted.map((one) => one.record_id)), ...WANTED.parameters(wanted)],
    { prepare: false },
  );
}
