import { z } from 'zod';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import type { CallServices } from '../../platform/call/call.ts';
import { COVERAGE_METHODS, requiredDetectors, type CoverageRule } from './coverage.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/**
 * A plan is the same for every orchestration of its name, and reading it would double the round trips of a hot write.
 * A change is seen here within this time; by the process that made it at once ({@link forgetPlans}). What an unknown
 * name answers is not kept: a plan just made is there.
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

/** An active routing plan, as far as coverage needs it. */
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

/** To be called after a routing plan was made, changed or deleted, so that this process sees it at once. */
export function forgetPlans(services: CallServices): void {
  memories.delete(services);
}

/** The refusal of a policy bundle that names no plan. */
export function policyNotFound(name: string): Problem {
  return new Problem('POLICY_NOT_FOUND', {
    detail: `There is no active routing plan named “${name}”.`,
    errors: [{ pointer: '/policy_bundle', detail: 'names no active routing plan' }],
  });
}

interface OwnWishes {
  readonly required_detectors: readonly string[];
  readonly excluded_detectors: readonly string[];
}

/** Whether a request leaves out all detectors that its plan is made of. */
function excludesPlan(plan: RoutingPlan, { excluded_detectors: excluded }: OwnWishes): boolean {
  return plan.primary_detectors.length > 0 && plan.primary_detectors.every((name) => excluded.includes(name));
}

/**
 * What a request under a plan must cover. One that excludes all of the plan's primary detectors is left with a rule that
 * asks for nothing, which is never covered: what it requires instead must not stand for the plan.
 */
export function coverageRuleOf(plan: RoutingPlan, request: OwnWishes): CoverageRule {
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
