import {
  newTenantConfig,
  readTenantConfig,
  replaceTenantConfig,
  tenantConfig,
} from '../../shared/domains/tenancy/tenant-configs.ts';
import { checkRetentionSettings } from '../../shared/domains/retention/retention-policies.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';

export const tenantConfigEndpoints = [
  endpoint({
    name: 'tenant-config-read',
    method: 'GET',
    path: 'v1/tenant-config',
    tag: 'tenant-config',
    summary: 'Read the tenant’s settings',
    permission: 'config:read',
    responses: {
      200: { description: 'The settings.', schema: tenantConfig, headers: ['ETag'] },
      304: { description: 'If-None-Match names this version.', headers: ['ETag'] },
    },
    run: (call, { ifNoneMatch }) => readTenantConfig(call, ifNoneMatch),
  }),
  endpoint({
    name: 'tenant-config-replace',
    method: 'PUT',
    path: 'v1/tenant-config',
    tag: 'tenant-config',
    summary: 'Replace the tenant’s settings as a whole; needs If-Match',
    permission: 'tenant_config:write',
    openToSuspended: true,
    ifMatch: 'required',
    body: newTenantConfig,
    responses: { 200: { description: 'Replaced.', schema: tenantConfig, headers: ['ETag'] } },
    run: (call, { body, ifMatch }) => replaceTenantConfig(call, body, ifMatch, checkRetentionSettings),
  }),
];
