import type { Call } from '../../platform/call/call.ts';
import { findLimited, NOTHING_FOUND, type Found } from '../../platform/db/find-limited.ts';

// What lineage reads of analyses.

/** An analysis and its evidence references. */
export interface AnalysisItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly status: string;
  readonly analysis_type: string;
  readonly evidence_refs: readonly string[];
}

/** One analysis. */
export function findAnalysis(call: Call, id: string): Promise<Found<AnalysisItem>> {
  return findLimited<AnalysisItem>(
    call.tenant,
    `select request_id as id, created_at, status, analysis_type, evidence_refs from analysis_requests
      where tenant_id = scope.tenant_id and expires_at > $2 and request_id = $3::uuid`,
    [call.now, id],
    1,
  );
}

/** Analyses that name any of these as evidence. Such an analysis is not older than the oldest evidence. */
export async function findAnalysesOf(
  call: Call,
  refs: readonly string[],
  since: string,
  limit: number,
): Promise<Found<AnalysisItem>> {
  if (refs.length === 0) return NOTHING_FOUND;
  return findLimited<AnalysisItem>(
    call.tenant,
    `select request_id as id, created_at, status, analysis_type, evidence_refs from analysis_requests
      where tenant_id = scope.tenant_id and expires_at > $2 and created_at >= $4::timestamptz
        and evidence_refs ?| $3::text[]
      order by created_at desc, request_id desc`,
    [call.now, refs, since],
    limit,
  );
}
