import type { z } from 'zod';
import { when } from '../../platform/db/keyset.ts';
import type { Call } from '../../platform/call/call.ts';
import { listReply } from '../../platform/http/list-reply.ts';
import type { Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { instantOfId } from '../../platform/ids/ids.ts';
import type { AuditLog, auditLogsQuery, AuditLogWithProof } from './schemas.ts';

const COLUMNS = `id, event_source, event_id, user_id, actor, action, resource_type, resource_id, details, outcome,
  host(ip_address) as ip_address, user_agent, trace_id, azure_region, subscription_id, resource_group,
  encode(leaf_hash, 'hex') as leaf_hash, created_at, received_at`;

/** A page of the tenant's audit trail. */
export function listAuditLogs(
  call: Call,
  query: z.output<typeof auditLogsQuery>,
  url: string,
): Promise<Reply<200, Page<AuditLog>>> {
  return listReply(
    call,
    query,
    url,
    {
      table: 'audit_logs',
      columns: COLUMNS,
      timeColumn: 'created_at',
      idColumn: 'id',
      idType: 'uuid',
      conditions: [
        ...when('actor = ?', query.actor),
        ...when('user_id = ?', query.user_id),
        ...when('action = ?', query.action),
        ...when('resource_type = ?', query.resource_type),
        ...when('resource_id = ?', query.resource_id),
        ...when('outcome = ?', query.outcome),
        ...when('trace_id = ?', query.trace_id),
        ...when('created_at >= ?::timestamptz', query.from),
        ...when('created_at < ?::timestamptz', query.to),
      ],
    },
    { prepare: false },
  );
}

/**
 * One entry, with the bytes that its hash covers.
 * @throws Problem 404 if the tenant's trail has none of that id.
 */
export async function readAuditLog(call: Call, id: string): Promise<Reply<200, AuditLogWithProof>> {
  // An entry's id begins with its time, so the id gives the one partition that can hold the entry.
  const at = instantOfId(id);
  const rows =
    at === undefined
      ? []
      : await call.tenant.statement<AuditLogWithProof>(
          `select r.* from scope, lateral (
             select ${COLUMNS}, convert_from(canonical, 'UTF8') as canonical from audit_logs
              where tenant_id = scope.tenant_id and id = $2
                and created_at >= $3::timestamptz and created_at < $3::timestamptz + interval '1 millisecond' offset 0) r`,
          [id, at],
          { prepare: false },
        );
  if (rows[0] === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such audit entry.' });
  return ok(rows[0]);
}
