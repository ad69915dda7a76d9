import { holdParams, legalHolds, releaseHold } from '../../shared/domains/retention/legal-holds.ts';
import { retentionResources } from '../../shared/domains/retention/resources.ts';
import { expiringTables } from '../expiring-tables.ts';
import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { resourceEndpoints } from '../../shared/platform/resources/resource-endpoints.ts';
import { resourceSchemas } from '../../shared/platform/resources/resource-schemas.ts';

export const retentionEndpoints = [
  ...resourceEndpoints(retentionResources(expiringTables)),
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
