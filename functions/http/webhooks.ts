import {
  createEndpoint,
  deleteEndpoint,
  listEndpoints,
  readEndpoint,
  replaceEndpoint,
  rotateSecret,
} from '../../shared/domains/webhooks/endpoints/endpoints.ts';
import { listDeliveries, readDelivery } from '../../shared/domains/webhooks/deliveries/read-deliveries.ts';
import { replayDelivery, testEndpoint } from '../../shared/domains/webhooks/deliveries/replay-delivery.ts';
import {
  deliveriesQuery,
  deliveryParams,
  deliveryView,
  deliveryWithPayload,
  endpointParams,
  endpointsQuery,
  endpointView,
  endpointWithSecret,
  newEndpoint,
  secretRotation,
} from '../../shared/domains/webhooks/schemas.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const reads = { tag: 'webhooks', permission: 'webhooks:read' } as const;
/** Also for a tenant that has not paid: it must be told of failed payments. */
const changes = { tag: 'webhooks', permission: 'webhooks:manage', openToSuspended: true } as const;
const sends = { tag: 'webhooks', permission: 'webhooks:manage' } as const;

export const webhooksEndpoints = [
  endpoint({
    ...changes,
    name: 'webhook-endpoints-create',
    method: 'POST',
    path: 'v1/webhook-endpoints',
    summary: 'Create a webhook endpoint; its signing secret is shown once',
    body: newEndpoint,
    responses: { 201: { description: 'Made.', schema: endpointWithSecret, headers: ['Location', 'ETag'] } },
    run: (call, { body }) => createEndpoint(call, body),
  }),
  endpoint({
    ...reads,
    name: 'webhook-endpoints-list',
    method: 'GET',
    path: 'v1/webhook-endpoints',
    summary: 'List webhook endpoints',
    query: endpointsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(endpointView), headers: ['Link'] } },
    run: (call, { query, url }) => listEndpoints(call, query, url),
  }),
  endpoint({
    ...reads,
    name: 'webhook-endpoints-read',
    method: 'GET',
    path: 'v1/webhook-endpoints/{endpoint_id}',
    summary: 'Read a webhook endpoint, and whether it works',
    params: endpointParams,
    responses: {
      200: { description: 'The endpoint.', schema: endpointView, headers: ['ETag'] },
      304: { description: 'If-None-Match names this version.', headers: ['ETag'] },
    },
    run: (call, { params, ifNoneMatch }) => readEndpoint(call, params.endpoint_id, ifNoneMatch),
  }),
  endpoint({
    ...changes,
    name: 'webhook-endpoints-replace',
    method: 'PUT',
    path: 'v1/webhook-endpoints/{endpoint_id}',
    summary: 'Replace a webhook endpoint, or switch it on again; needs If-Match',
    params: endpointParams,
    ifMatch: 'required',
    body: newEndpoint,
    responses: { 200: { description: 'Replaced.', schema: endpointView, headers: ['ETag'] } },
    run: (call, { params, body, ifMatch }) => replaceEndpoint(call, params.endpoint_id, body, ifMatch),
  }),
  endpoint({
    ...changes,
    name: 'webhook-endpoints-delete',
    method: 'DELETE',
    path: 'v1/webhook-endpoints/{endpoint_id}',
    summary: 'Delete a webhook endpoint; what waits for it is not sent',
    params: endpointParams,
    ifMatch: 'optional',
    responses: { 204: { description: 'Deleted.' } },
    run: (call, { params, ifMatch }) => deleteEndpoint(call, params.endpoint_id, ifMatch),
  }),
  endpoint({
    ...changes,
    name: 'webhook-endpoints-rotate-secret',
    method: 'POST',
    path: 'v1/webhook-endpoints/{endpoint_id}/rotate-secret',
    summary: 'Make a new signing secret; messages are signed with both for the overlap',
    params: endpointParams,
    body: secretRotation,
    responses: {
      200: {
        description: 'The endpoint with its new secret.',
        schema: endpointWithSecret,
        headers: ['ETag'],
      },
    },
    run: (call, { params, body }) => rotateSecret(call, params.endpoint_id, body),
  }),
  endpoint({
    ...sends,
    name: 'webhook-endpoints-test',
    method: 'POST',
    path: 'v1/webhook-endpoints/{endpoint_id}/test',
    summary: 'Send a message of the type webhook.test',
    params: endpointParams,
    responses: { 202: { description: 'It is queued.', schema: deliveryView } },
    run: (call, { params }) => testEndpoint(call, params.endpoint_id),
  }),
  endpoint({
    ...reads,
    name: 'webhook-deliveries-list',
    method: 'GET',
    path: 'v1/webhook-deliveries',
    summary: 'List webhook deliveries of the last 30 days',
    query: deliveriesQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(deliveryView), headers: ['Link'] } },
    run: (call, { query, url }) => listDeliveries(call, query, url),
  }),
  endpoint({
    ...reads,
    name: 'webhook-deliveries-read',
    method: 'GET',
    path: 'v1/webhook-deliveries/{delivery_id}',
    summary: 'Read a webhook delivery, with what is sent',
    params: deliveryParams,
    responses: { 200: { description: 'The delivery.', schema: deliveryWithPayload } },
    run: (call, { params }) => readDelivery(call, params.delivery_id),
  }),
  endpoint({
    ...sends,
    name: 'webhook-deliveries-replay',
    method: 'POST',
    path: 'v1/webhook-deliveries/{delivery_id}/replay',
    summary: 'Send a webhook delivery again, with the same id and body',
    params: deliveryParams,
    responses: { 202: { description: 'It is queued.', schema: deliveryView } },
    run: (call, { params }) => replayDelivery(call, params.delivery_id),
  }),
];
