import type { ProbedServices } from '../../shared/domains/operations/health.ts';
import {
  healthHistoryQuery,
  listHealthHistory,
  systemHealthCheck,
} from '../../shared/domains/operations/health-history.ts';
import { readServiceStatus, serviceStatus } from '../../shared/domains/operations/health-status.ts';
import { endpoint, publicEndpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

/** What everybody may know of the service's health, and what operators may. */
export const statusEndpoints = (services: () => ProbedServices) => [
  publicEndpoint({
    name: 'status-read',
    method: 'GET',
    path: 'v1/status',
    tag: 'health',
    summary: 'What works now, since when, and how much of the last 24 hours and 90 days',
    responses: { 200: { description: 'The status, at most some seconds old.', schema: serviceStatus } },
    run: () => readServiceStatus(services()),
  }),
  endpoint({
    name: 'platform-health-history-list',
    method: 'GET',
    path: 'v1/platform/health/history',
    tag: 'platform',
    summary: 'List the checks of the service and its dependencies',
    permission: 'platform:operate',
    query: healthHistoryQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(systemHealthCheck), headers: ['Link'] } },
    run: (call, { query, url }) => listHealthHistory(call, query, url),
  }),
];
