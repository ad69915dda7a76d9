import type { Call } from '../../platform/call/call.ts';
import { findLimited, NOTHING_FOUND, type Found } from '../../platform/db/find-limited.ts';

// What lineage reads of orchestrations.

/** An orchestration. */
export interface OrchestrationItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly status: string;
  readonly policy_bundle: string;
}

/** One attempt of a detector. */
export interface ResultItem {
  readonly [column: string]: unknown;
  readonly request_id: string;
  readonly detector: string;
  readonly attempt: number;
  readonly status: string;
  readonly confidence: number | null;
  readonly created_at: string;
}

/** Orchestrations by id. */
export async function findOrchestrations(
  call: Call,
  ids: readonly string[],
): Promise<Found<OrchestrationItem>> {
  if (ids.length === 0) return NOTHING_FOUND;
  return findLimited<OrchestrationItem>(
    call.tenant,
    `select request_id as id, created_at, status, policy_bundle from orchestration_requests
      where tenant_id = scope.tenant_id and expires_at > $2 and request_id = any($3::uuid[])`,
    [call.now, ids],
    ids.length,
  );
}

/** The results of orchestrations, each detector's newest attempt first. */
export async function findResults(
  call: Call,
  orchestrationIds: readonly string[],
  limit: number,
): Promise<Found<ResultItem>> {
  if (orchestrationIds.length === 0) return NOTHING_FOUND;
  return findLimited<ResultItem>(
    call.tenant,
    `select request_id, detector, attempt, status, confidence, created_at from detector_results
      where tenant_id = scope.tenant_id and request_id = any($2::uuid[])
      order by attempt desc, detector`,
    [orchestrationIds],
    limit,
  );
}
