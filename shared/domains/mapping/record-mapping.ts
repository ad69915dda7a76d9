import { mapperResponseKey, contentHash } from '../../platform/cache/keys.ts';
import type { DataKey } from '../../platform/crypto/data-keys.ts';
import { binding, seal } from '../../platform/crypto/sealing.ts';
import type { Columns } from '../../platform/db/recordset.ts';
import { fingerprintOf } from '../../platform/call/idempotency-key.ts';
import type { Call, IdempotencyClaim } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { created, type Reply } from '../../platform/call/reply.ts';
import { newId } from '../../platform/ids/ids.ts';
import { canonicalJson } from '../../platform/json/canonical-json.ts';
import { defineHotWrite, singleReply, type Item } from '../../platform/writes/hot-write.ts';
import { writeItems } from '../../platform/writes/write-items.ts';
import {
  archiveRequested,
  insertRecordsSql,
  NEW_RECORD_COLUMNS,
  newRecordValues,
} from '../records/new-record.ts';
import { STORAGE_RECORDS } from '../records/record-columns.ts';
import { expiryOf } from '../retention/expiry.ts';
import { dataKeyOf } from '../tenancy/data-key.ts';
import {
  knownResponse,
  type KnownResponse,
  type MapperResponse,
  type MappingCreated,
  type NewMapping,
} from './schemas.ts';
import { knownLabels, labelFaults } from './taxonomy.ts';

/** The columns that a response adds to a mapping's row; see {@link responseColumns}. */
export const RESPONSE_COLUMNS = {
  ...NEW_RECORD_COLUMNS,
  mapped: 'jsonb',
  response_fingerprint: 'bytea',
  review_status: 'text',
} as const satisfies Columns;

/** The rows of a mapping: the request and, if it comes with a response, the response and its storage record. */
export const MAPPING_WRITE = defineHotWrite({
  route: 'mappings-create',
  dailyTable: STORAGE_RECORDS.table,
  columns: {
    detector: 'text',
    output: 'jsonb',
    source: 'bytea',
    key_id: 'uuid',
    model_version: 'text',
    processing_mode: 'text',
    priority: 'text',
    metadata: 'jsonb',
    orchestration_request_id: 'uuid',
    status: 'text',
    expires_at: 'timestamptz',
    ...RESPONSE_COLUMNS,
  },
  inserts: `
  , request as (
      insert into mapper_requests (tenant_id, request_id, orchestration_request_id, detector, output, source_data,
        encryption_key_id, model_version, processing_mode, priority, metadata, idempotency_key, status,
        review_status, created_at, updated_at, expires_at)
      select scope.tenant_id, request_id, orchestration_request_id, detector, output, source,
             key_id, model_version, processing_mode, priority, metadata, idempotency_key,
             status, review_status, written_at, written_at, expires_at
        from fresh, scope)
  , response as (
      insert into mapper_responses (tenant_id, request_id, record_id, taxonomy, scores, confidence, notes, provenance,
        policy_context, version_info, processing_time_ms, model_used, fingerprint, created_at)
      select scope.tenant_id, request_id, record_id, mapped->'taxonomy', mapped->'scores', (mapped->>'confidence')::float8,
             mapped->>'notes', mapped->'provenance', mapped->'policy_context', mapped->'version_info',
             (mapped->>'processing_time_ms')::int, mapped->>'model_used', response_fingerprint,
             written_at
        from fresh, scope where record_id is not null)
  , record as (
      ${insertRecordsSql(
        {
          tenant_id: 'scope.tenant_id',
          source_id: 'request_id',
          source_data: 'source',
          encryption_key_id: 'key_id',
          mapped_data: 'mapped',
          model_version: 'model_version',
          detector: 'detector',
          metadata: 'metadata',
          created_at: 'written_at',
        },
        'fresh, scope where record_id is not null',
      )})`,
});

/** How long a mapper's answer is offered to equal requests. */
const KNOWN_RESPONSE_TTL_S = 60 * 60;

type MappingItem = Item<Reply<201, MappingCreated>>;

/** Records one mapping: 201, with a `record_id` if it comes with a response. */
export async function recordMapping(call: Call, body: NewMapping): Promise<Reply<201, MappingCreated>> {
  const [item] = await prepareMappings(call, [{ body, claim: call.idempotency }]);
  if (item instanceof Problem) throw item;
  if (item === undefined) throw new Error('nothing was prepared');
  return singleReply(await writeItems(call, MAPPING_WRITE, [item]));
}

/** A mapping to record, and its idempotency key. */
export interface ClaimedMapping {
  readonly body: NewMapping;
  readonly claim: IdempotencyClaim | null;
}

/** Prepares mappings for the write: checks labels, seals sources, fixes ids and answers. */
export async function prepareMappings(
  call: Call,
  mappings: readonly ClaimedMapping[],
): Promise<(MappingItem | Problem)[]> {
  const [dataKey, labels] = await Promise.all([dataKeyOf(call), knownLabels(call.services.crossTenant.core)]);
  return Promise.all(
    mappings.map(async ({ body, claim }) => {
      const faults = body.response === undefined ? [] : labelFaults(labels, body.response, '/response');
      if (faults.length > 0) return new Problem('INVALID_REQUEST', { errors: faults });
      return prepare(call, dataKey, body, claim);
    }),
  );
}

async function prepare(
  call: Call,
  dataKey: DataKey,
  body: NewMapping,
  claim: IdempotencyClaim | null,
): Promise<MappingItem> {
  const requestId = newId(call.now);
  const recordId = body.response === undefined ? undefined : newId(call.now);
  const source = Buffer.from(body.source_data, 'utf8');
  const expiresAt = expiryOf(call.context, 'mappings', call.now);
  const known = await findKnownResponse(call, dataKey, body);
  const review = body.response === undefined ? null : reviewStatusOf(call, body.response);
  const answer: MappingCreated = {
    request_id: requestId,
    status: recordId === undefined ? 'pending' : 'completed',
    detector: body.detector,
    model_version: body.model_version,
    created_at: call.now.toISOString(),
    expires_at: expiresAt.toISOString(),
    ...(recordId === undefined ? {} : { record_id: recordId }),
    ...(review === null ? {} : { review_status: review }),
    ...(known === undefined ? {} : { known_response: known }),
  };
  return {
    requestId,
    claim,
    reply: created(`/api/v1/mappings/${requestId}`, answer),
    audit: {
      action: 'mapping.created',
      resource_type: 'mapping',
      resource_id: requestId,
      details: {
        detector: body.detector,
        completed: recordId !== undefined,
        record_id: recordId ?? null,
        needs_review: review === 'needs_review',
      },
    },
    usage: [{ usage_type: 'api_calls', usage_amount: 1 }],
    events: recordId === undefined ? [] : [archiveRequested(call, recordId)],
    row: {
      detector: body.detector,
      output: body.output ?? null,
      source: seal(dataKey.key, source, binding(call.tenant.tenantId, requestId)),
      key_id: dataKey.keyId,
      model_version: body.model_version,
      processing_mode: body.processing_mode,
      priority: body.priority,
      metadata: body.metadata,
      orchestration_request_id: body.orchestration_request_id ?? null,
      status: answer.status,
      expires_at: expiresAt,
      ...(body.response === undefined || recordId === undefined
        ? {}
        : responseColumns(call, recordId, body.response)),
    },
  };
}

/** The values of {@link RESPONSE_COLUMNS}. */
export function responseColumns(call: Call, recordId: string, response: MapperResponse) {
  return {
    ...newRecordValues(call, recordId),
    mapped: response,
    response_fingerprint: fingerprintOf(response),
    review_status: reviewStatusOf(call, response),
  };
}

function questionHash(
  dataKey: DataKey,
  body: Pick<NewMapping, 'detector' | 'output' | 'source_data' | 'model_version'>,
): string {
  return contentHash(
    dataKey.key,
    body.detector,
    canonicalJson(body.output ?? null),
    body.source_data,
    body.model_version,
  );
}

/** Finds the mapper's earlier answer to an equal request. A request that comes with an answer stores it for later ones. */
async function findKnownResponse(
  call: Call,
  dataKey: DataKey,
  body: NewMapping,
): Promise<KnownResponse | undefined> {
  if (!call.services.cache.configured) return undefined;
  const key = mapperResponseKey(call.tenant.tenantId, questionHash(dataKey, body));
  if (body.response === undefined) return call.services.cache.read(key, knownResponse);
  const { taxonomy, scores, confidence, model_used } = body.response;
  call.services.cache.keep(key, { taxonomy, scores, confidence, model_used }, KNOWN_RESPONSE_TTL_S);
  return undefined;
}

/** A response that is less sure than the tenant's cutoff needs review; `review.ts` settles it. */
function reviewStatusOf(call: Call, response: MapperResponse): 'needs_review' | null {
  return response.confidence < call.context.config.mapping_confidence_cutoff ? 'needs_review' : null;
}
