import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { requestIdParams } from '../../shared/platform/http/fields.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';
import { listMappings, readMapping } from '../../shared/domains/mapping/read-mappings.ts';
import {
  MAPPING_WRITE,
  prepareMappings,
  recordMapping,
} from '../../shared/domains/mapping/record-mapping.ts';
import { reviewMapping } from '../../shared/domains/mapping/review.ts';
import { respondToMapping } from '../../shared/domains/mapping/respond.ts';
import {
  mapperResponse,
  mapping,
  mappingCompleted,
  mappingCreated,
  mappingReviewed,
  mappingsQuery,
  newMapping,
  newReview,
} from '../../shared/domains/mapping/schemas.ts';
import { batchBody, BATCH_BODY_LIMIT, batchOutcome, writeBatch } from '../../shared/platform/writes/batch.ts';

export const mappingsEndpoints = [
  endpoint({
    name: 'mappings-create',
    method: 'POST',
    path: 'v1/mappings',
    tag: 'mappings',
    summary: 'Add a mapping, with or without its response',
    permission: 'mappings:write',
    body: newMapping,
    responses: { 201: { description: 'Recorded.', schema: mappingCreated, headers: ['Location'] } },
    run: (call, { body }) => recordMapping(call, body),
  }),
  endpoint({
    name: 'mappings-batch-create',
    method: 'POST',
    path: 'v1/mappings/batch',
    tag: 'mappings',
    summary: 'Add up to 100 mappings, each with its own outcome',
    permission: 'mappings:write',
    body: batchBody,
    bodyLimit: BATCH_BODY_LIMIT,
    responses: { 207: { description: 'The outcome of each.', schema: batchOutcome } },
    run: (call, { body }) =>
      writeBatch(call, body.items, {
        schema: newMapping,
        write: MAPPING_WRITE,
        prepare: prepareMappings,
      }),
  }),
  endpoint({
    name: 'mappings-respond',
    method: 'PUT',
    path: 'v1/mappings/{request_id}/response',
    tag: 'mappings',
    summary: 'Complete a mapping with the mapper’s response',
    permission: 'mappings:write',
    params: requestIdParams,
    body: mapperResponse,
    responses: {
      200: {
        description: 'Completed; the same response again changes nothing.',
        schema: mappingCompleted,
      },
    },
    run: (call, { params, body }) => respondToMapping(call, params.request_id, body),
  }),
  endpoint({
    name: 'mappings-review',
    method: 'POST',
    path: 'v1/mappings/{request_id}/review',
    tag: 'mappings',
    summary: 'Confirm or reject a mapping that needs review',
    description:
      'If the confidence of a response is under the tenant’s `mapping_confidence_cutoff`, its mapping gets the ' +
      '`review_status` `needs_review`. It is reviewed once. The mapping and its record stay unchanged.',
    permission: 'mappings:review',
    params: requestIdParams,
    body: newReview,
    responses: { 200: { description: 'Settled.', schema: mappingReviewed } },
    run: (call, { params, body }) => reviewMapping(call, params.request_id, body),
  }),
  endpoint({
    name: 'mappings-read',
    method: 'GET',
    path: 'v1/mappings/{request_id}',
    tag: 'mappings',
    summary: 'Read a mapping with its response',
    permission: 'mappings:read',
    params: requestIdParams,
    responses: { 200: { description: 'The mapping.', schema: mapping } },
    run: (call, { params }) => readMapping(call, params.request_id),
  }),
  endpoint({
    name: 'mappings-list',
    method: 'GET',
    path: 'v1/mappings',
    tag: 'mappings',
    summary: 'List mappings',
    permission: 'mappings:read',
    query: mappingsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(mapping), headers: ['Link'] } },
    run: (call, { query, url }) => listMappings(call, query, url),
  }),
];
