import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { tenantParams } from '../../shared/platform/http/fields.ts';
import {
  dataKeyRotated,
  dataKeysPage,
  dataKeysQuery,
} from '../../shared/domains/tenancy/data-key-schemas.ts';
import { listDataKeys, rotateDataKey } from '../../shared/domains/tenancy/rotate-data-key.ts';

const operators = { tag: 'platform', permission: 'platform:operate', forNamedTenant: true } as const;
const list = { 200: { description: 'A page.', schema: dataKeysPage, headers: ['Link'] } } as const;
const rotated = { 201: { description: 'The new key.', schema: dataKeyRotated } } as const;

/** A tenant's data keys, for itself and for operators. */
export const dataKeysEndpoints = [
  endpoint({
    name: 'data-keys-list',
    method: 'GET',
    path: 'v1/data-keys',
    tag: 'data-keys',
    permission: 'audit:read',
    summary: 'List the keys that seal the tenant’s content, without the keys',
    query: dataKeysQuery,
    responses: list,
    run: (call, { query, url }) => listDataKeys(call, query, url),
  }),
  endpoint({
    name: 'data-keys-rotate',
    method: 'POST',
    path: 'v1/data-keys/rotate',
    tag: 'data-keys',
    permission: 'data_keys:rotate',
    summary: 'Make a new data key: it seals what is stored from now on, and older keys open what they sealed',
    responses: rotated,
    run: (call) => rotateDataKey(call),
  }),
  endpoint({
    ...operators,
    name: 'platform-data-keys-list',
    method: 'GET',
    path: 'v1/platform/tenants/{tenant_id}/data-keys',
    summary: 'List a tenant’s data keys, without the keys',
    params: tenantParams,
    query: dataKeysQuery,
    responses: list,
    run: (call, { query, url }) => listDataKeys(call, query, url),
  }),
  endpoint({
    ...operators,
    name: 'platform-data-keys-rotate',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/data-keys/rotate',
    summary: 'Make a new data key for a tenant',
    params: tenantParams,
    responses: rotated,
    run: (call) => rotateDataKey(call),
  }),
];
