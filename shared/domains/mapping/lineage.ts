import type { Call } from '../../platform/call/call.ts';
import { findLimited, NOTHING_FOUND, type Found } from '../../platform/db/find-limited.ts';

// What lineage reads of mappings.

/** A mapping and its related ids. */
export interface MappingItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly status: string;
  readonly detector: string;
  readonly model_version: string;
  readonly orchestration_id: string | null;
  readonly record_id: string | null;
  readonly confidence: number | null;
}

/** Mappings by their own ids or by their orchestrations' ids. */
export async function findMappings(
  call: Call,
  by: 'request_id' | 'orchestration_request_id',
  ids: readonly string[],
  limit: number,
): Promise<Found<MappingItem>> {
  if (ids.length === 0) return NOTHING_FOUND;
  return findLimited<MappingItem>(
    call.tenant,
    `select m.request_id as id, m.created_at, m.status, m.detector, m.model_version,
            m.orchestration_request_id as orchestration_id, r.record_id, r.confidence
       from mapper_requests m
       left join mapper_responses r on r.tenant_id = m.tenant_id and r.request_id = m.request_id
      where m.tenant_id = scope.tenant_id and m.expires_at > $2 and m.${by} = any($3::uuid[])
      order by m.created_at, m.request_id`,
    [call.now, ids],
    limit,
  );
}
