import type { Call } from '../../platform/call/call.ts';
import { findLimited, type Found } from '../../platform/db/find-limited.ts';

// What lineage reads of the audit trail.

/** An audit entry about one of the graph's nodes. */
export interface AuditItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly action: string;
  readonly actor: string | null;
  readonly outcome: string;
  readonly resource_id: string;
  readonly trace_id: string | null;
}

/** The newest audit entries about these resources. No entry is older than the oldest resource. */
export async function findAuditEntries(
  call: Call,
  things: readonly { readonly kind: string; readonly id: string }[],
  since: string,
  limit: number,
): Promise<Found<AuditItem>> {
  const kinds = [...new Set(things.map(({ kind }) => kind))];
  return findLimited<AuditItem>(
    call.tenant,
    `select id, created_at, action, actor, outcome, resource_id, trace_id from audit_logs
      where tenant_id = scope.tenant_id and created_at >= date_trunc('day', $5::timestamptz)
        and created_at < $2::timestamptz + interval '1 day'
        and resource_type = any($3::text[]) and resource_id = any($4::text[])
      order by created_at desc, id desc`,
    [call.now, kinds, things.map(({ id }) => id), since],
    limit,
    { prepare: false },
  );
}
