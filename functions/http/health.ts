import { z } from 'zod';
import { publicEndpoint } from '../../shared/platform/http/endpoint.ts';
import { ok } from '../../shared/platform/call/reply.ts';
import {
  checkReadiness,
  readiness,
  type ProbedServices,
  type Readiness,
} from '../../shared/domains/operations/health.ts';

const liveness = z.object({ status: z.literal('healthy') });
type Liveness = z.output<typeof liveness>;

/** Health checks for load balancers. */
export const healthEndpoints = (services: () => ProbedServices) => [
  publicEndpoint({
    name: 'health-live',
    method: 'GET',
    path: 'health/live',
    tag: 'health',
    summary: 'Whether the process runs',
    responses: { 200: { description: 'It does.', schema: liveness } },
    run: () => Promise.resolve(ok<Liveness>({ status: 'healthy' })),
  }),
  publicEndpoint({
    name: 'health-ready',
    method: 'GET',
    path: 'health/ready',
    tag: 'health',
    summary: 'Whether requests can be served, and the state of each dependency',
    responses: {
      200: {
        description: 'Requests are served; `degraded` if some work waits for a dependency.',
        schema: readiness,
      },
      503: { description: 'The database is unavailable.', schema: readiness },
    },
    run: async () => {
      const answer = await checkReadiness(services());
      if (answer.status !== 'unhealthy') return ok<Readiness>(answer);
      return { status: 503, body: answer, headers: { 'retry-after': '2' } };
    },
  }),
];
