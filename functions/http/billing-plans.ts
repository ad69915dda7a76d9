import { z } from 'zod';
import {
  listPlans,
  publicPlans,
  type PlanListServices,
} from '../../shared/domains/billing/plans/list-plans.ts';
import {
  codeToValidate,
  validateCode,
  validatedCode,
} from '../../shared/domains/billing/promotions/validate-code.ts';
import { endpoint, publicEndpoint } from '../../shared/platform/http/endpoint.ts';

/** What is sold, and the codes that make it cheaper. */
export const billingPlansEndpoints = (services: () => PlanListServices) => [
  publicEndpoint({
    name: 'billing-plans-list',
    method: 'GET',
    path: 'v1/billing/plans',
    tag: 'billing',
    summary: 'List the plans that are sold, with prices and limits',
    // Without parameters, but it needs the database: the description says that the answer can be 503.
    query: z.object({}),
    responses: {
      200: { description: 'All active plans, the cheapest first.', schema: publicPlans, headers: ['ETag'] },
      304: { description: 'If-None-Match names these plans.', headers: ['ETag'] },
    },
    run: ({ ifNoneMatch }) => listPlans(services(), ifNoneMatch),
  }),
  endpoint({
    name: 'promotional-codes-validate',
    method: 'POST',
    path: 'v1/billing/promotional-codes/validate',
    tag: 'billing',
    summary: 'Whether a promotional code can be used for a plan, and what it gives',
    description: 'Nothing is reserved: that is done by the checkout.',
    permission: 'billing:read',
    body: codeToValidate,
    responses: { 200: { description: 'Yes, or why not.', schema: validatedCode } },
    run: (call, { body }) => validateCode(call, body),
  }),
];
