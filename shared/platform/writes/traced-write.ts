import {
  AUDIT_RECORDED,
  newEvent,
  USAGE_RECORDED,
  type AuditData,
  type CloudEvent,
  type UsageData,
} from '../bus/events.ts';
import type { AuditNote } from './caused-events.ts';
import { auditEventId, usageEventId, type CausedAt } from './event-cause.ts';

/** A write as its rows tell it, with what it caused. Each domain traces its own rows. */
export interface TracedWrite extends CausedAt {
  /** The unit is `count` unless it is given. */
  readonly usage: readonly (Omit<UsageData, 'tenant_id' | 'usage_unit'> &
    Partial<Pick<UsageData, 'usage_unit'>>)[];
  /** Its entries in the audit trail. Who acted, and from where, only the lost entry knew. */
  readonly audit: readonly Omit<AuditNote, 'tenant_id'>[];
  /** When the audit entries happened, if not with the cause. */
  readonly auditedAt?: Date;
}

/** Pages of a tenant's traced writes, from a time on. */
export type TracePages = AsyncIterable<readonly TracedWrite[]>;

/** The write's usage events, with the identities and times that they had. */
export function usageOf(write: TracedWrite): CloudEvent<UsageData>[] {
  return write.usage.map((used) =>
    newEvent<UsageData>(
      USAGE_RECORDED,
      { tenant_id: write.tenantId, usage_unit: 'count', ...used },
      write.at,
      usageEventId(write, used.usage_type),
    ),
  );
}

/** The write's audit events, with the identities and times that they had. Their details say that they were made again. */
export function auditOf(write: TracedWrite, actor: string): CloudEvent<AuditData>[] {
  return write.audit.map((note) =>
    newEvent<AuditData>(
      AUDIT_RECORDED,
      {
        tenant_id: write.tenantId,
        actor,
        action: note.action,
        resource_type: note.resource_type,
        resource_id: note.resource_id ?? null,
        outcome: note.outcome ?? 'success',
        details: { ...note.details, made_again: true },
      },
      write.auditedAt ?? write.at,
      auditEventId(write, note.action),
    ),
  );
}

/** Rows that are traced at once. */
export const TRACE_PAGE = 500;
/** Before every id. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000';
