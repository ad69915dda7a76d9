import { recordset } from '../../platform/db/recordset.ts';
import { fingerprintOf } from '../../platform/call/idempotency-key.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { newId } from '../../platform/ids/ids.ts';
import {
  completeOnce,
  sameResponse,
  type CompletionKind,
  type CompletionRow,
} from '../../platform/writes/complete-once.ts';
import { archiveRequested, insertRecordsSql } from '../records/new-record.ts';
import { STORAGE_RECORDS } from '../records/record-columns.ts';
import { RESPONSE_COLUMNS, responseColumns } from './record-mapping.ts';
import type { MapperResponse, Mapping, MappingCompleted } from './schemas.ts';
import { knownLabels, labelFaults } from './taxonomy.ts';

type Completed = Reply<200, MappingCompleted>;

/** The columns of a completed mapping. */
type MappingRow = CompletionRow &
  Pick<MappingCompleted, 'request_id' | 'status' | 'record_id'> &
  Pick<Mapping, 'review_status'>;

const MAPPING: CompletionKind<MappingRow, Completed> = {
  one: 'mapping',
  requests: 'mapper_requests',
  responses: 'mapper_responses',
  write: { dailyTable: STORAGE_RECORDS.table },
  columns: 'q.request_id, q.status, q.review_status, p.record_id',
  answer: ({ request_id, status, record_id, review_status }) =>
    ok({ request_id, status, record_id, ...(review_status === null ? {} : { review_status }) }),
};

/**
 * Completes a mapping: stores the mapper's response and its storage record. The same response again is 200 and changes
 * nothing.
 * @throws Problem 400 for unknown labels, 404, 409 when it was completed with another response.
 */
export async function respondToMapping(
  call: Call,
  requestId: string,
  response: MapperResponse,
): Promise<Completed> {
  const faults = labelFaults(await knownLabels(call.services.crossTenant.core), response, '');
  if (faults.length > 0) throw new Problem('INVALID_REQUEST', { errors: faults });
  return completeOnce(call, MAPPING, requestId, {
    isRepetition: sameResponse(fingerprintOf(response)),
    prepare: () => Promise.resolve(undefined),
    store: async (transaction) => {
      const recordId = newId(call.now);
      const row = { request_id: requestId, ...responseColumns(call, recordId, response) };
      await transaction.query(INSERT_RESPONSE, [
        call.tenant.tenantId,
        call.now,
        ...RESPONSE.parameters([row]),
      ]);
      return {
        audit: {
          action: 'mapping.completed',
          resource_type: 'mapping',
          resource_id: requestId,
          details: { record_id: recordId, needs_review: row.review_status === 'needs_review' },
        },
        events: [archiveRequested(call, recordId)],
      };
    },
  });
}

const RESPONSE = recordset({ request_id: 'uuid', ...RESPONSE_COLUMNS });

const INSERT_RESPONSE = `
  with given as (
    select * from ${RESPONSE.from('g', 3)}),
  request as (
    update mapper_requests m set status = 'completed', review_status = given.review_status, updated_at = $2, version = m.version + 1
      from given where m.tenant_id = $1 and m.request_id = given.request_id
    returning m.*),
  record as (
    ${insertRecordsSql(
      {
        tenant_id: '$1',
        source_id: 'r.request_id',
        source_data: 'r.source_data',
        encryption_key_id: 'r.encryption_key_id',
        mapped_data: 'mapped',
        model_version: 'r.model_version',
        detector: 'r.detector',
        metadata: 'r.metadata',
        created_at: '$2',
      },
      'given, request r',
    )})
  insert into mapper_responses (tenant_id, request_id, record_id, taxonomy, scores, confidence, notes, provenance,
    policy_context, version_info, processing_time_ms, model_used, fingerprint, created_at)
  select $1, g.request_id, g.record_id, g.mapped->'taxonomy', g.mapped->'scores', (g.mapped->>'confidence')::float8,
         g.mapped->>'notes', g.mapped->'provenance', g.mapped->'policy_context', g.mapped->'version_info',
         (g.mapped->>'processing_time_ms')::int, g.mapped->>'model_used', g.response_fingerprint, $2
    from given g`;
