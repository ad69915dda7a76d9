import {
  meterWindow,
  meterWindowsQuery,
} from '../../shared/domains/billing/metering/meter-window-schemas.ts';
import { listMeterWindows } from '../../shared/domains/billing/metering/read-meter-windows.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

export const platformMeterWindowsEndpoints = [
  endpoint({
    name: 'platform-meter-windows-list',
    method: 'GET',
    path: 'v1/platform/billing/meter-windows',
    tag: 'platform',
    summary: 'List what was reported to Stripe’s meters, and what Stripe refused',
    permission: 'platform:operate',
    query: meterWindowsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(meterWindow), headers: ['Link'] } },
    run: (call, { query, url }) => listMeterWindows(call, query, url),
  }),
];
