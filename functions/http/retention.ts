import { holdParams, legalHolds, releaseHold } from '../../shared/domains/retention/legal-holds.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { resourceSchemas } from '../../shared/platform/resources/resource-schemas.ts';

/** The routes of a legal hold besides those of its resource. */
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
    responses: {
      200: { description: 'Released.', schema: resourceSchemas(legalHolds).row, headers: ['ETag'] },
    },
    run: (call, { params }) => releaseHold(call, params.hold_id),
  }),
];
