import { endpoint } from '../../shared/platform/http/endpoint.ts';
import { readLineage } from '../../shared/domains/lineage/read-lineage.ts';
import { lineage, lineageParams } from '../../shared/domains/lineage/schemas.ts';

export const lineageEndpoints = [
  endpoint({
    name: 'lineage-read',
    method: 'GET',
    path: 'v1/lineage/{kind}/{id}',
    tag: 'lineage',
    summary: 'Read what an item came from, and what was made from it',
    permission: 'lineage:read',
    params: lineageParams,
    responses: { 200: { description: 'The graph.', schema: lineage } },
    run: (call, { params }) => readLineage(call, params),
  }),
];
