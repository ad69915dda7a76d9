import { AUDIT_RECORDED, newEvent, type AuditData } from '../../../platform/bus/events.ts';
import type { OutboxEntry } from '../../../platform/call/call.ts';
import { systemClock } from '../../../platform/time/clock.ts';
import { newEntry } from '../../../platform/writes/outbox.ts';
import type { BookedBlob } from './due-blobs.ts';

/** The longest resource id that the audit trail takes. */
const RESOURCE_ID_MAX = 255;

/** The audit event of a blob, for the tenant's trail. `actor` is the job that found the fact. */
export function blobEvent(
  actor: string,
  blob: BookedBlob,
  action: 'blob.deleted' | 'blob.missing' | 'blob.changed' | 'blob.restored',
  outcome: AuditData['outcome'],
): OutboxEntry {
  // The real time, not the run's `as_of`: a queue refuses events from the future.
  const now = systemClock.now();
  const data: AuditData = {
    tenant_id: blob.tenantId,
    actor,
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
