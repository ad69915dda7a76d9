import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { idParams } from '../../shared/platform/http/fields.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';
import { listRecords } from '../../shared/domains/records/list-records.ts';
import { readRecord } from '../../shared/domains/records/read-record.ts';
import { readSource } from '../../shared/domains/records/read-source.ts';
import { recordsQuery, recordSource, storageRecord } from '../../shared/domains/records/schemas.ts';

export const recordsEndpoints = [
  endpoint({
    name: 'records-list',
    method: 'GET',
    path: 'v1/records',
    tag: 'records',
    summary: 'List storage records',
    permission: 'records:read',
    query: recordsQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(storageRecord), headers: ['Link'] } },
    run: (call, { query, url }) => listRecords(call, query, url),
  }),
  endpoint({
    name: 'records-read',
    method: 'GET',
    path: 'v1/records/{id}',
    tag: 'records',
    summary: 'Read a storage record',
    permission: 'records:read',
    params: idParams,
    responses: {
      200: { description: 'The record.', schema: storageRecord, headers: ['ETag'] },
      304: { description: 'The client has the current version.', headers: ['ETag'] },
    },
    run: (call, { params, ifNoneMatch }) => readRecord(call, params.id, ifNoneMatch),
  }),
  endpoint({
    name: 'records-read-source',
    method: 'GET',
    path: 'v1/records/{id}/source',
    tag: 'records',
    summary: 'Read the source of a record in plain text',
    description: 'Needs a separate permission. Each read is in the audit trail before the answer is sent.',
    permission: 'records:read_source',
    params: idParams,
    responses: { 200: { description: 'The source.', schema: recordSource } },
    run: (call, { params }) => readSource(call, params.id),
  }),
];
