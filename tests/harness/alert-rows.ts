import { alertsEvaluate } from '../../shared/domains/alerts/evaluate-job.ts';
import type { JobRun, JobServices } from '../../shared/platform/jobs/job.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { MINUTE_MS } from '../../shared/platform/time/clock.ts';
import type { TestApp } from './app.ts';

/** The rows that conditions are judged by, some minutes old. */
export interface Rows {
  readonly tenant: string;
  readonly count: number;
  readonly minutesAgo?: number;
}

const agoOf = ({ minutesAgo = 1 }: Rows): Date => new Date(Date.now() - minutesAgo * MINUTE_MS);

/** Adds finished orchestrations. */
export async function addOrchestrations(
  { admin: { core } }: TestApp,
  rows: Rows & { readonly coverage?: number; readonly error?: string | null; readonly open?: boolean },
): Promise<string[]> {
  const { tenant, count, coverage = 1, error = null } = rows;
  const at = agoOf(rows);
  const ids = Array.from({ length: count }, () => newId(at));
  await core`
    insert into orchestration_requests (tenant_id, request_id, content, content_mac, encryption_key_id, content_type, policy_bundle,
      routing_plan_id, coverage_rule, environment, status, created_at, expires_at)
    select ${tenant}, id, '\\x00', '\\x00', gen_random_uuid(), 'text', 'p', gen_random_uuid(), '{}', 'prod', 'completed', ${at},
           ${at}::timestamptz + interval '90 days' from unnest(${ids}::uuid[]) id`;
  if (rows.open !== true)
    await core`
      insert into orchestration_responses (tenant_id, request_id, total_processing_time_ms, detectors_attempted, detectors_succeeded,
        coverage_achieved, coverage_method, coverage_threshold, fallback_used, error, fingerprint, created_at)
      select ${tenant}, id, 1, 1, 1, ${coverage}, 'required_set', 0.8, ${coverage < 0.8}, ${error}, '\\x00', ${at}
        from unnest(${ids}::uuid[]) id`;
  return ids;
}

/** Adds a detector's failed tries of one orchestration each. */
export async function addDetectorFailures(app: TestApp, rows: Rows, status = 'timeout'): Promise<void> {
  const ids = await addOrchestrations(app, rows);
  await app.admin.core`
    insert into detector_results (tenant_id, request_id, detector, attempt, status, processing_time_ms, created_at)
    select ${rows.tenant}, id, 'regex-pii', 1, ${status}, 1, ${agoOf(rows)} from unnest(${ids}::uuid[]) id`;
}

/** Adds answered mappings. */
export async function addMappings(
  { admin: { core } }: TestApp,
  rows: Rows & { readonly confidence?: number; readonly review?: string | null },
): Promise<void> {
  const { tenant, count, confidence = 1, review = null } = rows;
  const at = agoOf(rows);
  const ids = Array.from({ length: count }, () => newId(at));
  await core`
    insert into mapper_requests (tenant_id, request_id, detector, source_data, encryption_key_id, model_version, status, review_status,
      reviewed_at, created_at, expires_at)
    select ${tenant}, id, 'd', '\\x00', gen_random_uuid(), 'v1', 'completed', ${review},
           ${review === null || review === 'needs_review' ? null : at}, ${at}, ${at}::timestamptz + interval '90 days'
      from unnest(${ids}::uuid[]) id`;
  await core`
    insert into mapper_responses (tenant_id, request_id, record_id, taxonomy, scores, confidence, processing_time_ms, model_used,
      fingerprint, created_at)
    select ${tenant}, id, gen_random_uuid(), '[]', '{}', ${confidence}, 1, 'm', '\\x00', ${at} from unnest(${ids}::uuid[]) id`;
}

/** Makes a run of the evaluator that takes no lock and writes no ledger: several may run at once. */
export function evaluatorRun(
  services: JobServices,
  given: { readonly now?: Date; readonly batches?: number } = {},
): JobRun {
  let stored: unknown;
  let left = given.batches ?? 1_000;
  return {
    services,
    now: given.now ?? new Date(),
    runId: newId(),
    progress: {
      cutoff: undefined,
      examined: 0,
      deleted: 0,
      kept_on_hold: 0,
      not_archived: 0,
      bytes: 0,
      details: {},
    },
    timeLeftMs: () => (left-- > 0 ? 60_000 : 0),
    position: (schema) => Promise.resolve(stored === undefined ? undefined : schema.parse(stored)),
    savePosition: (value) => {
      stored = value;
      return Promise.resolve();
    },
  };
}

/** Judges all conditions once, now or at another time. Returns what the run counted. */
export async function evaluate(services: JobServices, now = new Date()): Promise<Record<string, unknown>> {
  const run = evaluatorRun(services, { now });
  await alertsEvaluate.run(run);
  return run.progress.details;
}
