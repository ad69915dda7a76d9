import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';
import {
  adoptApiKey,
  createApiKey,
  listApiKeys,
  revokeApiKey,
  rotateApiKey,
} from '../../shared/domains/identity/api-keys.ts';
import {
  apiKey,
  apiKeyCreated,
  apiKeyRotated,
  apiKeysQuery,
  keyIdParams,
  newApiKey,
  rotation,
} from '../../shared/domains/identity/schemas.ts';

const common = { tag: 'api-keys', openToSuspended: true } as const;
const reads = { ...common, permission: 'api_keys:read' } as const;
const writes = { ...common, permission: 'api_keys:manage' } as const;

export const apiKeysEndpoints = [
  endpoint({
    ...writes,
    name: 'api-keys-create',
    method: 'POST',
    path: 'v1/api-keys',
    summary: 'Create an API key; it is shown once',
    body: newApiKey,
    responses: { 201: { description: 'Made.', schema: apiKeyCreated, headers: ['Location'] } },
    run: (call, { body }) => createApiKey(call, body),
  }),
  endpoint({
    ...reads,
    name: 'api-keys-list',
    method: 'GET',
    path: 'v1/api-keys',
    summary: 'List API keys, without their secrets',
    query: apiKeysQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(apiKey), headers: ['Link'] } },
    run: (call, { query, url }) => listApiKeys(call, query, url),
  }),
  endpoint({
    ...writes,
    name: 'api-keys-rotate',
    method: 'POST',
    path: 'v1/api-keys/{key_id}/rotate',
    summary: 'Replace a key with a new one; the old key stays valid for the overlap',
    params: keyIdParams,
    body: rotation,
    responses: { 201: { description: 'The new key.', schema: apiKeyRotated, headers: ['Location'] } },
    run: (call, { params, body }) => rotateApiKey(call, params.key_id, body),
  }),
  endpoint({
    ...writes,
    name: 'api-keys-adopt',
    method: 'POST',
    path: 'v1/api-keys/{key_id}/adopt',
    summary: 'Answer for a key that another person made',
    description:
      'The key goes on with its permissions, and has at most what the calling person holds. Needs a person who holds all of them.',
    params: keyIdParams,
    responses: { 200: { description: 'The key.', schema: apiKey } },
    run: (call, { params }) => adoptApiKey(call, params.key_id),
  }),
  endpoint({
    ...writes,
    name: 'api-keys-revoke',
    method: 'DELETE',
    path: 'v1/api-keys/{key_id}',
    summary: 'Revoke an API key',
    params: keyIdParams,
    responses: { 204: { description: 'Revoked.' } },
    run: (call, { params }) => revokeApiKey(call, params.key_id),
  }),
];
