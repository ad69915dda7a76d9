import {
  discardBody,
  discarded,
  quarantineItem,
  quarantineItemWithBody,
  quarantineQuery,
  replayBody,
  replayed,
} from '../../shared/domains/operations/quarantine-schemas.ts';
import { listQuarantine, readQuarantined } from '../../shared/domains/operations/read-quarantine.ts';
import { discardQuarantined, replayQuarantined } from '../../shared/domains/operations/resolve-quarantine.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { idParams } from '../../shared/platform/http/fields.ts';
import { pageOf } from '../../shared/platform/http/pagination.ts';

const common = { tag: 'platform', permission: 'platform:operate' } as const;

export const platformQuarantineEndpoints = [
  endpoint({
    ...common,
    name: 'platform-quarantine-list',
    method: 'GET',
    path: 'v1/platform/quarantine',
    summary: 'List the messages that could not be processed',
    query: quarantineQuery,
    responses: { 200: { description: 'A page.', schema: pageOf(quarantineItem), headers: ['Link'] } },
    run: (call, { query, url }) => listQuarantine(call, query, url),
  }),
  endpoint({
    ...common,
    name: 'platform-quarantine-read',
    method: 'GET',
    path: 'v1/platform/quarantine/{id}',
    summary: 'Read a message in quarantine with its original body; the read is audited',
    params: idParams,
    responses: { 200: { description: 'The message.', schema: quarantineItemWithBody } },
    run: (call, { params }) => readQuarantined(call, params.id),
  }),
  endpoint({
    ...common,
    name: 'platform-quarantine-replay',
    method: 'POST',
    path: 'v1/platform/quarantine/{id}/replay',
    summary: 'Send a message to its queue again, unchanged or corrected',
    params: idParams,
    body: replayBody,
    // A corrected message may be as large as the original, and its envelope is added.
    bodyLimit: 512 * 1024,
    responses: { 202: { description: 'Sent.', schema: replayed } },
    run: (call, { params, body }) => replayQuarantined(call, params.id, body),
  }),
  endpoint({
    ...common,
    name: 'platform-quarantine-discard',
    method: 'POST',
    path: 'v1/platform/quarantine/{id}/discard',
    summary: 'Mark a message as discarded: it will never be processed',
    params: idParams,
    body: discardBody,
    responses: { 200: { description: 'Discarded.', schema: discarded } },
    run: (call, { params, body }) => discardQuarantined(call, params.id, body),
  }),
];
