import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { tenantParams } from '../../shared/platform/http/fields.ts';
import {
  createTenant,
  listTenants,
  newTenant,
  tenantCreated,
  tenantsPage,
  tenantsQuery,
} from '../../shared/domains/tenancy/create-tenant.ts';
import {
  beginOffboarding,
  offboarding,
  reactivateTenant,
  suspendTenant,
  suspension,
  undoOffboarding,
} from '../../shared/domains/tenancy/change-status.ts';
import { readTenant, tenant } from '../../shared/domains/tenancy/tenant.ts';

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
  endpoint({
    ...common,
    name: 'platform-tenants-suspend',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/suspend',
    summary: 'Suspend a tenant: it may only read and export, until it is reactivated',
    params: tenantParams,
    body: suspension,
    responses: { 200: { description: 'It is suspended.', schema: tenant } },
    run: (call, { params, body }) => suspendTenant(call, params.tenant_id, body),
  }),
  endpoint({
    ...common,
    name: 'platform-tenants-reactivate',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/reactivate',
    summary: 'End a tenant’s suspension',
    params: tenantParams,
    responses: { 200: { description: 'It is active.', schema: tenant } },
    run: (call, { params }) => reactivateTenant(call, params.tenant_id),
  }),
  endpoint({
    ...common,
    name: 'platform-tenants-offboarding-create',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/offboarding',
    summary: 'Begin a tenant’s offboarding: it is erased when the days are over',
    params: tenantParams,
    body: offboarding,
    responses: { 200: { description: 'It is leaving.', schema: tenant } },
    run: (call, { params, body }) => beginOffboarding(call, params.tenant_id, 'operator', body),
  }),
  endpoint({
    ...common,
    name: 'platform-tenants-offboarding-undo',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/offboarding/undo',
    summary: 'Undo a tenant’s offboarding',
    params: tenantParams,
    responses: { 200: { description: 'It is active again.', schema: tenant } },
    run: (call, { params }) => undoOffboarding(call, params.tenant_id, 'operator'),
  }),
];
