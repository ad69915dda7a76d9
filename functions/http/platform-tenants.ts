import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { tenantParams } from '../../shared/platform/http/fields.ts';
import {
  createTenant,
  listTenants,
  newTenant,
  readTenant,
  tenant,
  tenantCreated,
  tenantsPage,
  tenantsQuery,
} from '../../shared/domains/tenancy/create-tenant.ts';

const common = { tag: 'platform', permission: 'platform:operate' } as const;

export const platformTenantsEndpoints = [
  endpoint({
    ...common,
    name: 'platform-tenants-create',
    method: 'POST',
    path: 'v1/platform/tenants',
    summary: 'Create a tenant with its first key, which is shown once',
    body: newTenant,
    responses: { 201: { description: 'Made.', schema: tenantCreated, headers: ['Location'] } },
    run: (call, { body }) => createTenant(call, body),
  }),
  endpoint({
    ...common,
    name: 'platform-tenants-list',
    method: 'GET',
    path: 'v1/platform/tenants',
    summary: 'List tenants',
    query: tenantsQuery,
    responses: { 200: { description: 'A page.', schema: tenantsPage, headers: ['Link'] } },
    run: (call, { query, url }) => listTenants(call, query, url),
  }),
  endpoint({
    ...common,
    name: 'platform-tenants-read',
    method: 'GET',
    path: 'v1/platform/tenants/{tenant_id}',
    summary: 'Read a tenant',
    params: tenantParams,
    responses: { 200: { description: 'The tenant.', schema: tenant } },
    run: (call, { params }) => readTenant(call, params.tenant_id),
  }),
];
