import { performance } from 'node:perf_hooks';
import { z } from 'zod';
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

type Memory = Map<string, { readonly plan: RoutingPlan; readonly until: number }>;
const memories = new WeakMap<CallServices, Memory>();

function memoryOf(services: CallServices): Memory {
  const known = memories.get(services);
  if (known !== undefined) return known;
  const made: Memory = new Map();
  memories.set(services, made);
  return made;
}

const memoryKey = (tenantId: string, name: string): string => `${tenantId}\u001f${name}`;

/** Active plans by name: the tenant's own, else the platform's. A name that is nobody's is absent. */
export async function findPlans(
  call: Call,
  names: readonly string[],
): Promise<ReadonlyMap<string, RoutingPlan>> {
  const memory = memoryOf(call.services);
  const found = new Map<string, RoutingPlan>();
  const missing = [...new Set(names)].filter((name) => {
    const kept = memory.get(memoryKey(call.tenant.tenantId, name));
    if (kept === undefined || kept.until <= performance.now()) return true;
    found.set(name, kept.plan);
    return false;
  });
  if (missing.length === 0) return found;
  const rows = await call.tenant.statement(
    `select p.* from scope, lateral (
       select distinct on (plan_name) id, plan_name, primary_detectors, coverage_method, coverage_threshold, weights,
              required_taxonomy_categories
         from routing_plans
        where tenant_id in (scope.tenant_id, 'platform') and plan_name = any($2::text[]) and is_active
        order by plan_name, tenant_id = scope.tenant_id desc offset 0) p`,
    [missing],
  );
  if (memory.size + rows.length > MEMORY_MAX) memory.clear();
  for (const row of rows) {
    const plan = storedPlan.parse(row);
    found.set(plan.plan_name, plan);
    memory.set(memoryKey(call.tenant.tenantId, plan.plan_name), {
      plan,
      until: performance.now() + MEMORY_TTL_MS,
    });
  }
  return found;
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

/** What a request under a plan must cover. */
export function coverageRuleOf(
  plan: RoutingPlan,
  request: { readonly required_detectors: readonly string[]; readonly excluded_detectors: readonly string[] },
): CoverageRule {
  return {
    method: plan.coverage_method,
    threshold: plan.coverage_threshold,
    required_detectors: requiredDetectors(
      plan.primary_detectors,
      request.required_detectors,
      request.excluded_detectors,
    ),
    weights: plan.weights,
    required_categories: plan.required_taxonomy_categories,
  };
}
