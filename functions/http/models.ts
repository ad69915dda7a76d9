import {
  activateModelVersion,
  modelNameParams,
  modelVersionParams,
  modelVersions,
  readModelByName,
} from '../../shared/domains/mapping/model-versions.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { resourceSchemas } from '../../shared/platform/resources/resource-schemas.ts';

/** The routes of a model version besides those of its resource. */
export const modelsEndpoints = [
  endpoint({
    name: 'model-versions-activate',
    method: 'POST',
    path: 'v1/model-versions/{id}/activate',
    tag: 'model-versions',
    summary: 'Make a version the active one of its model',
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
];
