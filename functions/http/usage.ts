import { readUsage } from '../../shared/domains/billing/metering/read-usage.ts';
import { usageReport } from '../../shared/domains/billing/metering/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';

export const usageEndpoints = [
  endpoint({
    name: 'usage-read',
    method: 'GET',
    path: 'v1/usage',
    tag: 'usage',
    summary: 'Read this period’s usage, by type, with what the plan allows',
    permission: 'usage:read',
    responses: { 200: { description: 'The current period.', schema: usageReport } },
    run: (call) => readUsage(call),
  }),
];
