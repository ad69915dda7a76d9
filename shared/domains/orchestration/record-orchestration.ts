import { createHmac } from 'node:crypto';
import type { DataKey } from '../../platform/crypto/data-keys.ts';
import { binding, seal } from '../../platform/crypto/sealing.ts';
import type { Call, IdempotencyClaim } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { Reply } from '../../platform/call/reply.ts';
import { newId } from '../../platform/ids/ids.ts';
import { defineHotWrite, singleReply, type Item } from '../../platform/writes/hot-write.ts';
import { writeItems } from '../../platform/writes/write-items.ts';
import { expiryOf } from '../retention/expiry.ts';
import { dataKeyOf } from '../tenancy/data-key.ts';
import {
  complete,
  COMPLETION_COLUMNS,
  COMPLETION_TARGETS,
  COMPLETION_VALUES,
  completedAnswer,
  coverageReply,
  openAnswer,
  resultLabels,
  statusOf,
  type Completion,
  type Attempt,
} from './completion.ts';
import { findKnownResults, keepKnownResults } from './known-results.ts';
import { coverageRuleOf, findPlans, policyNotFound, type RoutingPlan } from './routing-plan.ts';
import { findThresholds, withThresholds, type Thresholds } from './thresholds.ts';
import type { DetectorResult, NewOrchestration, OrchestrationAnswer } from './schemas.ts';

/**
 * The rows of an orchestration: the request and, if they come with it, its detectors' results and its response. Results stay
 * JSON within their row: several requests share a statement row by row, which one array for each column would not allow.
 */
export const ORCHESTRATION_WRITE = defineHotWrite({
  route: 'orchestrations-create',
  columns: {
    job_id: 'uuid',
    content: 'bytea',
    content_mac: 'bytea',
    key_id: 'uuid',
    content_type: 'text',
    policy_bundle: 'text',
    routing_plan_id: 'uuid',
    coverage_rule: 'jsonb',
    environment: 'text',
    processing_mode: 'text',
    priority: 'text',
    metadata: 'jsonb',
    required_detectors: 'jsonb',
    excluded_detectors: 'jsonb',
    status: 'text',
    expires_at: 'timestamptz',
    results: 'jsonb',
    completion: 'jsonb',
  },
  inserts: `
  , request as (
      insert into orchestration_requests (tenant_id, request_id, job_id, content, content_mac, encryption_key_id,
        content_type, policy_bundle, routing_plan_id, coverage_rule, environment, processing_mode, priority, metadata,
        required_detectors, excluded_detectors, idempotency_key, status, created_at, updated_at, expires_at)
      select scope.tenant_id, request_id, job_id, content, content_mac, key_id,
             content_type, policy_bundle, routing_plan_id, coverage_rule, environment, processing_mode, priority,
             metadata, required_detectors, excluded_detectors, idempotency_key, status, written_at,
             written_at, expires_at
        from fresh, scope)
  , result as (
      insert into detector_results (tenant_id, request_id, detector, attempt, status, output, metadata, error,
        processing_time_ms, confidence, below_threshold, created_at)
      select scope.tenant_id, fresh.request_id, r.detector, r.attempt, r.status, r.output, r.metadata, r.error,
             r.processing_time_ms, r.confidence, r.below_threshold, written_at
        from fresh cross join scope cross join lateral jsonb_to_recordset(fresh.results) as r (detector text,
             attempt int, status text, output jsonb, metadata jsonb, error text, processing_time_ms int,
             confidence float8, below_threshold boolean))
  , response as (
      insert into orchestration_responses (tenant_id, request_id, created_at, ${COMPLETION_TARGETS})
      select scope.tenant_id, fresh.request_id, written_at, ${COMPLETION_VALUES}
        from fresh cross join scope
             cross join lateral jsonb_to_record(fresh.completion) as c (${COMPLETION_COLUMNS})
       where fresh.completion is not null)`,
});

type RecordReply = Reply<201 | 206, OrchestrationAnswer>;

/** Records one orchestration: 201, or 206 if it comes with its response and is below its plan's threshold. */
export async function recordOrchestration(call: Call, body: NewOrchestration): Promise<RecordReply> {
  const [item] = await prepareOrchestrations(call, [{ body, claim: call.idempotency }]);
  if (item instanceof Problem) throw item;
  if (item === undefined) throw new Error('nothing was prepared');
  return singleReply(await writeItems(call, ORCHESTRATION_WRITE, [item]));
}

/** An orchestration to record, and its idempotency key. */
export interface ClaimedOrchestration {
  readonly body: NewOrchestration;
  readonly claim: IdempotencyClaim | null;
}

/** Prepares orchestrations for the write: finds plans, seals contents, computes coverage, fixes ids and answers. */
export async function prepareOrchestrations(
  call: Call,
  orchestrations: readonly ClaimedOrchestration[],
): Promise<(Item<RecordReply> | Problem)[]> {
  const names = orchestrations.map(({ body }) => body.policy_bundle);
  const [dataKey, plans, thresholds] = await Promise.all([
    dataKeyOf(call),
    findPlans(call, names),
    findThresholds(call),
  ]);
  return Promise.all(
    orchestrations.map(async ({ body, claim }) => {
      const plan = plans.get(body.policy_bundle);
      return plan === undefined
        ? policyNotFound(body.policy_bundle)
        : prepare(call, dataKey, plan, measured(body, thresholds), claim);
    }),
  );
}

async function prepare(
  call: Call,
  dataKey: DataKey,
  plan: RoutingPlan,
  body: MeasuredOrchestration,
  claim: IdempotencyClaim | null,
): Promise<Item<RecordReply>> {
  const requestId = newId(call.now);
  const jobId = body.processing_mode === 'async' ? newId(call.now) : null;
  const content = Buffer.from(body.content, 'utf8');
  const mac = createHmac('sha256', dataKey.key).update(content).digest();
  const results = numbered(body.detector_results ?? []);
  const rule = coverageRuleOf(plan, body);
  const completion =
    body.response === undefined ? null : complete(rule, results.map(attemptOf), body.response);
  const status = completion === null ? (results.length > 0 ? 'running' : 'pending') : statusOf(completion);
  const expiresAt = expiryOf(call.context, 'orchestrations', call.now);
  const about = {
    ...body,
    request_id: requestId,
    job_id: jobId,
    created_at: call.now,
    expires_at: expiresAt,
  };
  const known = await knownFor(call, body, mac.toString('base64'));
  const answer: OrchestrationAnswer = {
    ...(completion === null ? openAnswer(about, status) : completedAnswer(about, completion, call.now)),
    ...(known === undefined ? {} : { known_results: known }),
  };
  return {
    requestId,
    claim,
    reply: coverageReply(answer, 201, { location: `/api/v1/orchestrations/${requestId}` }),
    audit: {
      action: 'orchestration.created',
      resource_type: 'orchestration',
      resource_id: requestId,
      details: createdDetails(body, status, results.length, completion),
    },
    usage: [
      { usage_type: 'api_calls', usage_amount: 1 },
      ...(results.length === 0 ? [] : [{ usage_type: 'detector_runs', usage_amount: results.length }]),
    ],
    events: [],
    row: {
      job_id: jobId,
      content: seal(dataKey.key, content, binding(call.tenant.tenantId, requestId)),
      content_mac: mac,
      key_id: dataKey.keyId,
      content_type: body.content_type,
      policy_bundle: body.policy_bundle,
      routing_plan_id: plan.id,
      coverage_rule: rule,
      environment: body.environment,
      processing_mode: body.processing_mode,
      priority: body.priority,
      metadata: body.metadata,
      required_detectors: body.required_detectors,
      excluded_detectors: body.excluded_detectors,
      status,
      expires_at: expiresAt,
      results,
      completion,
    },
  };
}

function createdDetails(
  body: MeasuredOrchestration,
  status: string,
  results: number,
  completion: Completion | null,
): Readonly<Record<string, unknown>> {
  return {
    policy_bundle: body.policy_bundle,
    environment: body.environment,
    processing_mode: body.processing_mode,
    status,
    detector_results: results,
    ...(completion === null
      ? {}
      : { coverage_achieved: completion.coverage_achieved, fallback_used: completion.fallback_used }),
  };
}

type MeasuredResult = DetectorResult & { readonly below_threshold: boolean };

/** An orchestration whose results are compared with their detectors' thresholds. */
type MeasuredOrchestration = Omit<NewOrchestration, 'detector_results'> & {
  readonly detector_results?: readonly MeasuredResult[];
};

function measured(body: NewOrchestration, thresholds: Thresholds): MeasuredOrchestration {
  const { detector_results: results, ...rest } = body;
  return results === undefined ? rest : { ...rest, detector_results: withThresholds(results, thresholds) };
}

/** A result with its attempt's number: a detector may be in a list more than once. */
type NumberedResult = MeasuredResult & { readonly attempt: number };

function numbered(results: readonly MeasuredResult[]): NumberedResult[] {
  const attempts = new Map<string, number>();
  return results.map((result) => {
    const attempt = (attempts.get(result.detector) ?? 0) + 1;
    attempts.set(result.detector, attempt);
    return { ...result, attempt };
  });
}

function attemptOf(result: NumberedResult): Attempt {
  return {
    detector: result.detector,
    attempt: result.attempt,
    status: result.status,
    confidence: result.confidence ?? null,
    below_threshold: result.below_threshold,
    labels: resultLabels(result.output, result.metadata),
  };
}

/** Finds known results of the content for a request without results. A request that comes with results stores them. */
async function knownFor(
  call: Call,
  body: MeasuredOrchestration,
  mac: string,
): Promise<OrchestrationAnswer['known_results']> {
  const content = { contentType: body.content_type, mac };
  if (body.detector_results === undefined && body.response === undefined) {
    return findKnownResults(call, content, body.excluded_detectors);
  }
  keepKnownResults(call, content, body.detector_results ?? []);
  return undefined;
}
