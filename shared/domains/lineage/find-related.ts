import type { Parameter, StatementOptions } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { partitionDaysOfAll } from '../records/record-columns.ts';
import type { LineageNode } from './schemas.ts';

/** The most of each kind that one graph tells of; a person looks at it. */
const MAPPINGS_MAX = 200;
const RESULTS_MAX = 200;
const ANALYSES_MAX = 100;
const AUDIT_ENTRIES_MAX = 200;

/** What was found, and whether there was more. */
export interface Found<T> {
  readonly items: readonly T[];
  readonly truncated: boolean;
}

const NOTHING = { items: [], truncated: false } as const;

/** A mapping, and what it hangs together with. */
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

/** A storage record, and its blob's fields. */
export interface RecordItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly tenant_id: string;
  readonly created_at: string;
  readonly detector: string;
  readonly model_version: string;
  readonly source_id: string;
  readonly archived_at: string | null;
  readonly expires_at: string;
  readonly container_name: string;
  readonly blob_url: string | null;
  readonly blob_sha256: string | null;
  readonly blob_bytes: number | null;
  readonly access_tier: string | null;
}

/** An orchestration. */
export interface OrchestrationItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly status: string;
  readonly policy_bundle: string;
}

/** One try of a detector. */
export interface ResultItem {
  readonly [column: string]: unknown;
  readonly request_id: string;
  readonly detector: string;
  readonly attempt: number;
  readonly status: string;
  readonly confidence: number | null;
  readonly created_at: string;
}

/** An analysis, and what it names as its evidence. */
export interface AnalysisItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly status: string;
  readonly analysis_type: string;
  readonly evidence_refs: readonly string[];
}

/** An audit entry of one of the graph's things. */
export interface AuditItem {
  readonly [column: string]: unknown;
  readonly id: string;
  readonly created_at: string;
  readonly action: string;
  readonly actor: string | null;
  readonly outcome: string;
  readonly resource_id: string;
}

/** Rows of the tenant: `select` continues with the table; `$2` is now, the caller's parameters begin at `$3`. */
async function find<T extends Record<string, unknown>>(
  call: Call,
  select: string,
  parameters: readonly Parameter[],
  limit: number,
  options: StatementOptions = {},
): Promise<Found<T>> {
  const rows = await call.tenant.statement<T>(
    `select f.* from scope, lateral (${select} limit ${limit + 1} offset 0) f`,
    [call.now, ...parameters],
    options,
  );
  return { items: rows.slice(0, limit), truncated: rows.length > limit };
}

/** Orchestrations by id. */
export async function findOrchestrations(
  call: Call,
  ids: readonly string[],
): Promise<Found<OrchestrationItem>> {
  if (ids.length === 0) return NOTHING;
  return find<OrchestrationItem>(
    call,
    `select request_id as id, created_at, status, policy_bundle from orchestration_requests
      where tenant_id = scope.tenant_id and expires_at > $2 and request_id = any($3::uuid[])`,
    [ids],
    ids.length,
  );
}

/** The results of orchestrations, the newest try of each detector first. */
export async function findResults(
  call: Call,
  orchestrationIds: readonly string[],
): Promise<Found<ResultItem>> {
  if (orchestrationIds.length === 0) return NOTHING;
  return find<ResultItem>(
    call,
    `select request_id, detector, attempt, status, confidence, created_at from detector_results
      where tenant_id = scope.tenant_id and $2::timestamptz is not null and request_id = any($3::uuid[])
      order by attempt desc, detector`,
    [orchestrationIds],
    RESULTS_MAX,
  );
}

/** Mappings by their own ids, or by the orchestrations whose findings they map. */
export async function findMappings(
  call: Call,
  by: 'request_id' | 'orchestration_request_id',
  ids: readonly string[],
): Promise<Found<MappingItem>> {
  if (ids.length === 0) return NOTHING;
  return find<MappingItem>(
    call,
    `select m.request_id as id, m.created_at, m.status, m.detector, m.model_version,
            m.orchestration_request_id as orchestration_id, r.record_id, r.confidence
       from mapper_requests m
       left join mapper_responses r on r.tenant_id = m.tenant_id and r.request_id = m.request_id
      where m.tenant_id = scope.tenant_id and m.expires_at > $2 and m.${by} = any($3::uuid[])
      order by m.created_at, m.request_id`,
    [ids],
    MAPPINGS_MAX,
  );
}

/** Storage records by id. */
export async function findRecords(call: Call, ids: readonly string[]): Promise<Found<RecordItem>> {
  if (ids.length === 0) return NOTHING;
  return find<RecordItem>(
    call,
    `select id, tenant_id, created_at, detector, model_version, source_id, archived_at, expires_at, container_name, blob_url,
            encode(blob_sha256, 'hex') as blob_sha256, blob_bytes, access_tier from storage_records
      where tenant_id = scope.tenant_id and expires_at > $2 and id = any($3::uuid[])
        and ($4::date[] is null or partition_day = any($4::date[]))`,
    [ids, partitionDaysOfAll(ids)],
    ids.length,
    { prepare: false },
  );
}

/** One analysis. */
export function findAnalysis(call: Call, id: string): Promise<Found<AnalysisItem>> {
  return find<AnalysisItem>(
    call,
    `select request_id as id, created_at, status, analysis_type, evidence_refs from analysis_requests
      where tenant_id = scope.tenant_id and expires_at > $2 and request_id = $3::uuid`,
    [id],
    1,
  );
}

/** Analyses that name any of these as evidence. They are not older than the oldest of it. */
export async function findAnalysesOf(
  call: Call,
  refs: readonly string[],
  since: string,
): Promise<Found<AnalysisItem>> {
  if (refs.length === 0) return NOTHING;
  return find<AnalysisItem>(
    call,
    `select request_id as id, created_at, status, analysis_type, evidence_refs from analysis_requests
      where tenant_id = scope.tenant_id and expires_at > $2 and created_at >= $4::timestamptz
        and evidence_refs ?| $3::text[]
      order by created_at desc, request_id desc`,
    [refs, since],
    ANALYSES_MAX,
  );
}

/** The newest audit entries of these things; none is older than the oldest of them. */
export async function findAuditEntries(
  call: Call,
  nodes: readonly LineageNode[],
  since: string,
): Promise<Found<AuditItem>> {
  const kinds = [...new Set(nodes.map((node) => node.kind))];
  return find<AuditItem>(
    call,
    `select id, created_at, action, actor, outcome, resource_id from audit_logs
      where tenant_id = scope.tenant_id and created_at >= date_trunc('day', $5::timestamptz)
        and created_at < $2::timestamptz + interval '1 day'
        and resource_type = any($3::text[]) and resource_id = any($4::text[])
      order by created_at desc, id desc`,
    [kinds, nodes.map((node) => node.id), since],
    AUDIT_ENTRIES_MAX,
    { prepare: false },
  );
}
