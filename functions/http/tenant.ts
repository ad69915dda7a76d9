import { endpoint } from '../../shared/platform/http/endpoint.ts';
import {
  beginOffboarding,
  offboarding,
  undoOffboarding,
} from '../../shared/domains/tenancy/change-status.ts';
import {
  listExports,
  readExport,
  requestExport,
} from '../../shared/domains/tenancy/exports/request-export.ts';
import {
  exportParams,
  tenantExport,
  tenantExportsPage,
  tenantExportsQuery,
  tenantExportWithLink,
} from '../../shared/domains/tenancy/exports/schemas.ts';
import { readOwnTenant, tenant } from '../../shared/domains/tenancy/tenant.ts';

const exporting = { tag: 'tenant', permission: 'tenant:export', openToSuspended: true } as const;
const leaving = { tag: 'tenant', permission: 'tenant:offboard', openToSuspended: true } as const;

export const tenantEndpoints = [
  endpoint({
    name: 'tenant-read',
    method: 'GET',
    path: 'v1/tenant',
    tag: 'tenant',
    summary: 'Read the own tenant: its status, and until when an offboarding can be undone',
    permission: 'config:read',
    responses: { 200: { description: 'The tenant.', schema: tenant } },
    run: (call) => readOwnTenant(call),
  }),
  endpoint({
    ...leaving,
    name: 'tenant-offboarding-create',
    method: 'POST',
    path: 'v1/tenant/offboarding',
    summary: 'Leave: the tenant may only read and export from now on, and is erased when the days are over',
    body: offboarding,
    responses: { 200: { description: 'It is leaving.', schema: tenant } },
    run: (call, { body }) => beginOffboarding(call, call.principal.tenantId, 'tenant', body),
  }),
  endpoint({
    ...leaving,
    name: 'tenant-offboarding-undo',
    method: 'POST',
    path: 'v1/tenant/offboarding/undo',
    summary: 'Undo the offboarding that the tenant began itself',
    responses: { 200: { description: 'It is active again.', schema: tenant } },
    run: (call) => undoOffboarding(call, call.principal.tenantId, 'tenant'),
  }),
  endpoint({
    ...exporting,
    name: 'tenant-exports-create',
    method: 'POST',
    path: 'v1/tenant/exports',
    summary: 'Export everything that the tenant has',
    description:
      'It is made in the background: every row as JSON Lines, the content in clear, copies of the archived blobs, and a manifest with ' +
      'counts and hashes. While one is being made, another one is 409.',
    responses: { 201: { description: 'It will be made.', schema: tenantExport, headers: ['Location'] } },
    run: (call) => requestExport(call),
  }),
  endpoint({
    ...exporting,
    name: 'tenant-exports-list',
    method: 'GET',
    path: 'v1/tenant/exports',
    summary: 'List the tenant’s exports',
    query: tenantExportsQuery,
    responses: { 200: { description: 'A page.', schema: tenantExportsPage, headers: ['Link'] } },
    run: (call, { query, url }) => listExports(call, query, url),
  }),
  endpoint({
    ...exporting,
    name: 'tenant-exports-read',
    method: 'GET',
    path: 'v1/tenant/exports/{export_id}',
    summary: 'Read an export, with a link to its files that is valid for 15 minutes',
    params: exportParams,
    responses: { 200: { description: 'The export.', schema: tenantExportWithLink } },
    run: (call, { params }) => readExport(call, params.export_id),
  }),
];
