import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { analysisTemplates } from '../../shared/domains/analysis/analysis-templates.ts';
import { complianceMappings } from '../../shared/domains/mapping/compliance-mappings.ts';
import { detectorConfigs } from '../../shared/domains/orchestration/detector-configs.ts';
import { holdParams, legalHolds, releaseHold } from '../../shared/domains/retention/legal-holds.ts';
import {
  activateModelVersion,
  modelNameParams,
  modelVersionParams,
  modelVersions,
  readModelByName,
} from '../../shared/domains/mapping/model-versions.ts';
import { dataRetentionPolicies } from '../../shared/domains/retention/retention-policies.ts';
import { routingPlans } from '../../shared/domains/orchestration/routing-plans.ts';
import { taxonomyLabels } from '../../shared/domains/mapping/taxonomy-labels.ts';
import { resourceSchemas } from '../../shared/platform/resources/resource-schemas.ts';
import { resourceEndpoints } from '../../shared/platform/resources/resource-endpoints.ts';
import {
  newTenantConfig,
  readTenantConfig,
  replaceTenantConfig,
  tenantConfig,
} from '../../shared/domains/tenancy/tenant-configs.ts';

export const resourcesEndpoints = [
  ...resourceEndpoints(routingPlans),
  ...resourceEndpoints(detectorConfigs),
  ...resourceEndpoints(analysisTemplates),
  ...resourceEndpoints(taxonomyLabels),
  ...resourceEndpoints(complianceMappings),
  ...resourceEndpoints(modelVersions),
  ...resourceEndpoints(dataRetentionPolicies),
  ...resourceEndpoints(legalHolds),
  endpoint({
    name: 'model-versions-activate',
    method: 'POST',
    path: 'v1/model-versions/{id}/activate',
    tag: 'model-versions',
    summary: 'Make a version its model’s active one',
    permission: 'platform:operate',
    params: modelVersionParams,
    responses: {
      200: { description: 'Active.', schema: resourceSchemas(modelVersions).row, headers: ['ETag'] },
    },
    run: (call, { params }) => activateModelVersion(call, params.id),
  }),
  endpoint({
    name: 'models-read-version',
    method: 'GET',
    path: 'v1/models/{model_name}/versions/{version}',
    tag: 'model-versions',
    summary: 'Read a model version by its name',
    permission: 'config:read',
    params: modelNameParams,
    responses: {
      200: { description: 'The version.', schema: resourceSchemas(modelVersions).row, headers: ['ETag'] },
    },
    run: (call, { params }) => readModelByName(call, params.model_name, params.version),
  }),
  endpoint({
    name: 'legal-holds-release',
    method: 'POST',
    path: 'v1/legal-holds/{hold_id}/release',
    tag: 'legal-holds',
    summary: 'Release a legal hold',
    permission: 'retention:write',
    openToSuspended: true,
    params: holdParams,
    responses: {
      200: { description: 'Released.', schema: resourceSchemas(legalHolds).row, headers: ['ETag'] },
    },
    run: (call, { params }) => releaseHold(call, params.hold_id),
  }),
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
    run: (call, { body, ifMatch }) => replaceTenantConfig(call, body, ifMatch),
  }),
];
