import { z } from 'zod';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { CallServices } from '../../platform/call/call.ts';
import { COVERAGE_METHODS, requiredDetectors, type CoverageRule } from './coverage.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/**
 * Plans are cached, since reading one would double the round trips of a hot write. A change by another process is seen
 * within this time, a change by this process at once ({@link forgetPlans}). An unknown name is not cached, so that a new
 * plan is found at once.
 */
const MEMORY_TTL_MS = 5_000;
const MEMORY_MAX = 10_000;

const storedPlan = z.object({
  id: uuid,
  plan_name: z.string(),
  primary_detectors: z.array(z.string()),
  coverage_method: z.enum(COVERAGE_METHODS),
  coverage_threshold: z.number(),
  weights: z.record(z.string(), z.number()),
  required_taxonomy_categories: z.array(z.string()),
});

/** An active routing plan, with the fields that coverage needs. */
export type RoutingPlan = z.output<typeof storedPlan>;

type Memory = SingleFlightCache<RoutingPlan | null>;
const memories = new WeakMap<CallServices, Memory>();

function memoryOf(services: CallServices): Memory {
  let memory = memories.get(services);
  if (memory === undefined) {
    memory = new SingleFlightCache({ ttlMs: MEMORY_TTL_MS, max: MEMORY_MAX });
    memories.set(services, memory);
  }
  return memory;
}

/** Active plans by name: the tenant's own, else the platform's. A name without a plan is absent. */
export async function findPlans(
  call: Call,
  names: readonly string[],
): Promise<ReadonlyMap<string, RoutingPlan>> {
  const distinct = [...new Set(names)];
  const plans = await Promise.all(distinct.map((name) => findPlan(call, name)));
  return new Map(plans.flatMap((plan) => (plan === null ? [] : [[plan.plan_name, plan] as const])));
}

async function findPlan(call: Call, name: string): Promise<RoutingPlan | null> {
  const memory = memoryOf(call.services);
  const key = `${call.tenant.tenantId}\u001f${name}`;
  const plan = await memory.find(key, async () => {
    const [row] = await call.tenant.statement(
      `select p.* from scope, lateral (
         select id, plan_name, primary_detectors, coverage_method, coverage_threshold, weights,
                required_taxonomy_categories
           from routing_plans
          where tenant_id in (scope.tenant_id, 'platform') and plan_name = $2 and is_active
          order by tenant_id = scope.tenant_id desc limit 1 offset 0) p`,
      [name],
    );
    return row === undefined ? null : storedPlan.parse(row);
  });
  if (plan === null) memory.forget(key);
  return plan;
}

/** Call this after a routing plan is made, changed or deleted, so that this process sees it at once. */
export function forgetPlans(services: CallServices): void {
  memories.delete(services);
}

/** The refusal of an unknown policy bundle. */
export function policyNotFound(name: string): Problem {
  return new Problem('POLICY_NOT_FOUND', {
    detail: `There is no active routing plan named “${name}”.`,
    errors: [{ pointer: '/policy_bundle', detail: 'names no active routing plan' }],
  });
}

interface OwnRequirements {
  readonly required_detectors: readonly string[];
  readonly excluded_detectors: readonly string[];
}

/** Whether a request excludes all of its plan's primary detectors. */
function excludesPlan(plan: RoutingPlan, { excluded_detectors: excluded }: OwnRequirements): boolean {
  return plan.primary_detectors.length > 0 && plan.primary_detectors.every((name) => excluded.includes(name));
}

/**
 * What a request must cover under its plan. A request that excludes all of the plan's primary detectors gets a rule that
 * requires nothing, which is never covered: other detectors must not replace the plan's.
 */
export function coverageRuleOf(plan: RoutingPlan, request: OwnRequirements): CoverageRule {
  const { coverage_method: method, coverage_threshold: threshold } = plan;
  if (excludesPlan(plan, request))
    return { method, threshold, required_detectors: [], weights: {}, required_categories: [] };
  return {
    method,
    threshold,
    required_detectors: requiredDetectors(
      plan.primary_detectors,
      request.required_detectors,
      request.excluded_detectors,
    ),
    weights: plan.weights,
    required_categories: plan.required_taxonomy_categories,
  };
}
