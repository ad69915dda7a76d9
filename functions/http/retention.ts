import { mayStillErase } from '../../shared/domains/erasure/ledger.ts';
import {
  holdParams,
  legalHolds,
  legalHoldsOver,
  operatorsHoldParams,
  placeHold,
  releaseHold,
} from '../../shared/domains/retention/legal-holds.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { tenantParams } from '../../shared/platform/http/fields.ts';
import { collectionOf } from '../../shared/platform/resources/collection.ts';
import { listResource, readResource } from '../../shared/platform/resources/read-resource.ts';
import { resourceSchemas } from '../../shared/platform/resources/resource-schemas.ts';
import { expiringTables } from '../expiring-tables.ts';

const { row, query: listed, page } = resourceSchemas(legalHolds);
const released = { 200: { description: 'Released.', schema: row, headers: ['ETag'] } } as const;
const checkedHolds = legalHoldsOver(expiringTables);
/** After an erasure has begun, only operators can reach a tenant's holds. */
const operators = {
  tag: 'platform',
  permission: 'platform:operate',
  forNamedTenant: true,
  openToErased: true,
} as const;

/** The routes of legal holds besides those of their resource: to release one, and operators' for a tenant in any status. */
export const retentionEndpoints = [
  endpoint({
    name: 'legal-holds-release',
    method: 'POST',
    path: 'v1/legal-holds/{hold_id}/release',
    tag: 'legal-holds',
    summary: 'Release a legal hold',
    permission: 'retention:write',
    openToSuspended: true,
    params: holdParams,
    responses: released,
    run: (call, { params }) => releaseHold(call, params.hold_id),
  }),
  endpoint({
    ...operators,
    name: 'platform-legal-holds-create',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/legal-holds',
    summary: 'Place a legal hold on a tenant, also while it is being erased',
    params: tenantParams,
    body: legalHolds.body,
    responses: { 201: { description: 'Made.', schema: row, headers: ['Location', 'ETag'] } },
    run: (call, { body }) => placeHold(call, checkedHolds, body, mayStillErase),
  }),
  endpoint({
    ...operators,
    name: 'platform-legal-holds-list',
    method: 'GET',
    path: 'v1/platform/tenants/{tenant_id}/legal-holds',
    summary: 'List a tenant’s legal holds',
    params: tenantParams,
    query: listed,
    responses: { 200: { description: 'A page.', schema: page, headers: ['Link'] } },
    run: (call, { params, query, url }) =>
      listResource(call, collectionOf(call, legalHolds, params), query, url),
  }),
  endpoint({
    ...operators,
    name: 'platform-legal-holds-read',
    method: 'GET',
    path: 'v1/platform/tenants/{tenant_id}/legal-holds/{hold_id}',
    summary: 'Read a tenant’s legal hold',
    params: operatorsHoldParams,
    responses: {
      200: { description: 'The legal hold.', schema: row, headers: ['ETag'] },
      304: { description: 'If-None-Match names this version.', headers: ['ETag'] },
    },
    run: (call, { params, ifNoneMatch }) =>
      readResource(call, collectionOf(call, legalHolds, params), params.hold_id, ifNoneMatch),
  }),
  endpoint({
    ...operators,
    name: 'platform-legal-holds-release',
    method: 'POST',
    path: 'v1/platform/tenants/{tenant_id}/legal-holds/{hold_id}/release',
    summary: 'Release a tenant’s legal hold',
    params: operatorsHoldParams,
    responses: released,
    run: (call, { params }) => releaseHold(call, params.hold_id),
  }),
];
