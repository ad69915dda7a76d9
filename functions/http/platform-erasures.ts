import { readErasure, requestErasure } from '../../shared/domains/erasure/request-erasure.ts';
import { erasure, newErasure } from '../../shared/domains/erasure/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { tenantParams } from '../../shared/platform/http/fields.ts';

const common = { tag: 'platform', permission: 'platform:operate', params: tenantParams } as const;

export const platformErasuresEndpoints = [
  endpoint({
    ...common,
    name: 'platform-tenant-erasure-request',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/erasure',
    summary: 'Request the erasure of a leaving tenant',
    description:
      'The timer `tenant-erasures` does it, and requests it itself when the days of the offboarding are over. A legal hold stops it.',
    body: newErasure,
    responses: { 202: { description: 'Requested.', schema: erasure } },
    run: (call, { params, body }) => requestErasure(call, params.tenant_id, body),
  }),
  endpoint({
    ...common,
    name: 'platform-tenant-erasure-read',
    method: 'GET',
    path: 'v1/platform/tenants/{tenant_id}/erasure',
    summary: 'Read how far a tenant’s erasure is, and its report',
    responses: { 200: { description: 'The erasure.', schema: erasure } },
    run: (call, { params }) => readErasure(call, params.tenant_id),
  }),
];
