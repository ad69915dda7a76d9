import { readErasure, requestErasure } from '../../shared/domains/erasure/request-erasure.ts';
import { readPersonErasure } from '../../shared/domains/erasure/request-person-erasure.ts';
import { userParams } from '../../shared/domains/identity/people/person-schemas.ts';
import { erasure, newErasure } from '../../shared/domains/erasure/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { tenantParams } from '../../shared/platform/http/fields.ts';

const personParams = tenantParams.extend(userParams.shape);

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
  endpoint({
    ...common,
    name: 'platform-person-erasure-read',
    method: 'GET',
    path: 'v1/platform/tenants/{tenant_id}/users/{user_id}/erasure',
    summary: 'Read how far a person’s erasure in a tenant is',
    params: personParams,
    responses: { 200: { description: 'The erasure.', schema: erasure } },
    run: (call, { params }) => readPersonErasure(call, params.tenant_id, params.user_id),
  }),
];
