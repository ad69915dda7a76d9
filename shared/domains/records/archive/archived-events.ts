import type { AuditData, UsageData } from '../../../platform/bus/events.ts';
import type { CausedAt } from '../../../platform/writes/event-cause.ts';

/** Storage is metered in GB. */
const BYTES_A_GB = 2 ** 30;

export const RECORD_ARCHIVED = 'record.archived';

/** A record, as far as the events of its archive are concerned. */
export interface ArchivedRecord {
  readonly tenant_id: string;
  readonly id: string;
  readonly created_at: string;
}

/**
 * What causes the events of an archive. It has the time of the record: one that a restored database has as not archived is
 * archived again, and its events must be the same ones.
 */
export function archivedCause({ tenant_id, id, created_at }: ArchivedRecord): CausedAt {
  return { tenantId: tenant_id, at: new Date(created_at), of: id, act: 'archived' };
}

/** A record's storage, as usage. */
export function storageUsage({ id }: ArchivedRecord, bytes: number): Omit<UsageData, 'tenant_id'> {
  return {
    usage_type: 'storage_gb',
    usage_amount: bytes / BYTES_A_GB,
    usage_unit: 'gb',
    resource_type: 'record',
    resource_id: id,
  };
}

/** The details of an archive's entry in the audit trail. */
export function archiveDetails(of: {
  readonly container: string;
  readonly sha256: string;
  readonly bytes: number;
}): AuditData['details'] {
  return { container_name: of.container, blob_sha256: of.sha256, bytes: of.bytes };
}
