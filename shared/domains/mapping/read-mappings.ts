import type { z } from 'zod';
import { when } from '../../platform/db/keyset.ts';
import type { Call } from '../../platform/call/call.ts';
import { listReply } from '../../platform/http/list-reply.ts';
import type { Page } from '../../platform/http/pagination.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { Mapping, mappingsQuery } from './schemas.ts';

const COLUMNS = `request_id, orchestration_request_id, detector, output, model_version, processing_mode, priority, metadata,
  status, created_at, updated_at, expires_at,
  review_status, review_note, reviewed_by, reviewed_at,
  (select r.record_id from mapper_responses r where r.tenant_id = m.tenant_id and r.request_id = m.request_id) as record_id,
  (select jsonb_build_object('taxonomy', r.taxonomy, 'scores', r.scores, 'confidence', r.confidence, 'notes', r.notes,
            'provenance', r.provenance, 'policy_context', r.policy_context, 'version_info', r.version_info,
            'processing_time_ms', r.processing_time_ms, 'model_used', r.model_used, 'created_at', r.created_at)
     from mapper_responses r where r.tenant_id = m.tenant_id and r.request_id = m.request_id) as response`;

/**
 * One mapping with its response.
 * @throws Problem 404 if the tenant has none of that id, or it has expired.
 */
export async function readMapping(call: Call, requestId: string): Promise<Reply<200, Mapping>> {
  const [row] = await call.tenant.statement<Mapping>(
    `select r.* from scope, lateral (
       select ${COLUMNS} from mapper_requests m
        where m.tenant_id = scope.tenant_id and m.request_id = $2 and m.expires_at > $3 offset 0) r`,
    [requestId, call.now],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such mapping.' });
  return ok(row);
}

/** A page of the tenant's mappings. */
export function listMappings(
  call: Call,
  query: z.output<typeof mappingsQuery>,
  url: string,
): Promise<Reply<200, Page<Mapping>>> {
  return listReply(call, query, url, {
    table: 'mapper_requests m',
    columns: COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'request_id',
    idType: 'uuid',
    conditions: [
      ...when('expires_at > ?', call.now),
      ...when('detector = ?', query.detector),
      ...when('status = ?', query.status),
      ...when('model_version = ?', query.model_version),
      ...when('review_status = ?', query.review_status),
    ],
  });
}
