import { z } from 'zod';
import { unit } from '../../platform/http/fields.ts';
import type { Fault } from '../../platform/call/problem.ts';
import { pointerPart } from '../../platform/json/pointer.ts';
import { COVERAGE_METHODS } from './coverage.ts';
import { forgetPlans } from './routing-plan.ts';
import { flag, isActive, nameText, settingsObject } from '../../platform/resources/field-schemas.ts';
import { declareResource } from '../../platform/resources/resource.ts';

const detector = z.string().min(1).max(200);
const detectors = z.array(detector).max(100).default([]);

/** In binary, decimal weights do not add up to exactly 1. A difference this small is rounding. */
const WEIGHT_SUM_TOLERANCE = 1e-6;

const routingPlan = z.strictObject({
  plan_name: nameText.describe('The `policy_bundle` of orchestrations.'),
  primary_detectors: detectors.describe('Required for `required_set` coverage.'),
  secondary_detectors: detectors,
  parallel_groups: z.array(z.array(detector).max(100)).max(100).default([]),
  sequential_dependencies: z
    .record(detector, z.array(detector).max(100))
    .default({})
    .describe('By detector: the detectors that run before it.'),
  timeout_config: settingsObject,
  retry_config: settingsObject,
  coverage_method: z.enum(COVERAGE_METHODS).default('required_set'),
  // The default comes from the services' shared contract.
  coverage_threshold: unit.default(0.8).describe('An outcome below it is partial.'),
  weights: z
    .record(detector, unit)
    .default({})
    .describe('By detector. For `weighted_coverage` they sum to 1.'),
  required_taxonomy_categories: z.array(z.string().min(1).max(200)).max(200).default([]),
  is_active: isActive,
});
type RoutingPlan = z.output<typeof routingPlan>;

/** A plan's faults under its coverage method. */
export function checkRoutingPlan(plan: RoutingPlan): Fault[] {
  switch (plan.coverage_method) {
    case 'required_set':
      return [];
    case 'weighted_coverage':
      return weightFaults(plan);
    case 'taxonomy_coverage':
      return plan.required_taxonomy_categories.length > 0
        ? []
        : [
            {
              pointer: '/required_taxonomy_categories',
              detail: 'must name a category for taxonomy_coverage',
            },
          ];
  }
}

function weightFaults(plan: RoutingPlan): Fault[] {
  const known = new Set([...plan.primary_detectors, ...plan.secondary_detectors]);
  const sum = Object.values(plan.weights).reduce((total, weight) => total + weight, 0);
  return [
    ...(Math.abs(sum - 1) <= WEIGHT_SUM_TOLERANCE
      ? []
      : [{ pointer: '/weights', detail: 'must sum to 1 for weighted_coverage' }]),
    ...Object.keys(plan.weights)
      .filter((name) => !known.has(name))
      .map((name) => ({
        pointer: `/weights/${pointerPart(name)}`,
        detail: 'is no detector of the plan',
      })),
  ];
}

/** Plans say which detectors an orchestration needs and how its coverage is computed. */
export const routingPlans = declareResource({
  name: 'routing-plans',
  one: 'routing plan',
  description:
    'Which detectors look at which content, and how much of them must succeed: coverage is computed against the plan that an orchestration names. A tenant’s own plan takes precedence over the platform’s of the same name.',
  table: 'routing_plans',
  idColumn: 'id',
  scope: 'shared',
  verbs: ['create', 'list', 'read', 'replace', 'delete'],
  permissions: { read: 'config:read', write: 'config:write' },
  body: routingPlan,
  filters: { plan_name: nameText, is_active: flag },
  conflicts: { routing_plans_tenant_id_plan_name_key: 'A routing plan of this name exists already.' },
  check: checkRoutingPlan,
  forget: ({ services }) => forgetPlans(services),
  sample: ({ unique }) => ({ plan_name: unique, primary_detectors: ['regex-pii'] }),
});
