import { recordset } from '../../platform/db/recordset.ts';
import type { TenantTransaction } from '../../platform/db/tenant-database.ts';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import { newId } from '../../platform/ids/ids.ts';
import { performWrite, type Effect } from '../../platform/writes/perform-write.ts';
import { archiveEvent, RESPONSE_COLUMNS, responseColumns, responseFingerprint } from './record-mapping.ts';
import type { MapperResponse } from './schemas.ts';
import { knownLabels, labelFaults } from './taxonomy.ts';

interface Pending {
  readonly [column: string]: unknown;
  readonly status: string;
  readonly record_id: string | null;
  readonly fingerprint: Buffer | null;
}

/**
 * Completes a mapping: stores the mapper's answer and its storage record. The same answer again is 200 and changes
 * nothing.
 * @throws Problem 400 for unknown labels, 404, 409 when it was completed with another answer.
 */
export async function respondToMapping(
  call: Call,
  requestId: string,
  response: MapperResponse,
): Promise<Reply> {
  const faults = labelFaults(await knownLabels(call.services.crossTenant.core), response, '');
  if (faults.length > 0) throw new Problem('INVALID_REQUEST', { errors: faults });
  const repeated = await findRepeated(call, requestId, response);
  if (repeated !== undefined) return ok({ request_id: requestId, status: 'completed', record_id: repeated });
  const write = async (transaction: TenantTransaction): Promise<Effect> => {
    const [pending] = await transaction.query<Pending>(
      `select status, null::uuid as record_id, null::bytea as fingerprint from mapper_requests
        where tenant_id = $1 and request_id = $2 and expires_at > $3 for update`,
      [call.tenant.tenantId, requestId, call.now],
    );
    if (pending === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such mapping.' });
    if (pending.status !== 'pending') throw alreadyAnswered();
    const recordId = newId(call.now);
    const row = { request_id: requestId, ...responseColumns(call, recordId, response) };
    await transaction.query(INSERT_RESPONSE, [call.tenant.tenantId, call.now, ...RESPONSE.parameters([row])]);
    return {
      reply: ok({ request_id: requestId, status: 'completed', record_id: recordId }),
      audit: {
        action: 'mapping.completed',
        resource_type: 'mapping',
        resource_id: requestId,
        details: { record_id: recordId },
      },
      events: [archiveEvent(call, recordId)],
    };
  };
  return performWrite(call, write, { dailyTable: 'storage_records' });
}

const RESPONSE = recordset({ request_id: 'uuid', ...RESPONSE_COLUMNS });

const INSERT_RESPONSE = `
  with given as (
    select * from ${RESPONSE.from('g', 3)}),
  request as (
    update mapper_requests m set status = 'completed', updated_at = $2, version = m.version + 1
      from given where m.tenant_id = $1 and m.request_id = given.request_id
    returning m.*),
  record as (
    insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector, timestamp,
      metadata, source_id, encryption_key_id, created_at, expires_at, azure_region, resource_group, subscription_id)
    select $1, g.record_id, g.partition_day, r.source_data, g.mapped, r.model_version, r.detector, $2, r.metadata,
           r.request_id, r.encryption_key_id, $2, g.record_expires_at, g.azure_region, g.resource_group, g.subscription_id
      from given g, request r)
  insert into mapper_responses (tenant_id, request_id, record_id, taxonomy, scores, confidence, notes, provenance,
    policy_context, version_info, processing_time_ms, model_used, fingerprint, created_at)
  select $1, g.request_id, g.record_id, g.mapped->'taxonomy', g.mapped->'scores', (g.mapped->>'confidence')::float8,
         g.mapped->>'notes', g.mapped->'provenance', g.mapped->'policy_context', g.mapped->'version_info',
         (g.mapped->>'processing_time_ms')::int, g.mapped->>'model_used', g.response_fingerprint, $2
    from given g`;

function alreadyAnswered(): Problem {
  return new Problem('CONFLICT', { detail: 'The mapping was completed with another response.' });
}

/** The record of an earlier, equal response; undefined while there is none. */
async function findRepeated(
  call: Call,
  requestId: string,
  response: MapperResponse,
): Promise<string | undefined> {
  const [stored] = await call.tenant.statement<Pending>(
    `select r.* from scope, lateral (
       select record_id, fingerprint from mapper_responses where tenant_id = scope.tenant_id and request_id = $2 offset 0) r`,
    [requestId],
  );
  if (stored?.record_id == null || stored.fingerprint === null) return undefined;
  if (!stored.fingerprint.equals(responseFingerprint(response))) throw alreadyAnswered();
  return stored.record_id;
}
