/**
 * Rows as this service writes them, in SQL for pgbench: the same tables, indexes, row security and sizes. The server makes
 * ids and times, and the values are constants in the text, so pgbench spends no time on what a client would compute.
 */
const SEALED = `'\\x${'5a'.repeat(429)}'`;
const MAPPED = `'${JSON.stringify({
  taxonomy: ['PII.Identifier.CreditCard', 'PII.Contact.Address'],
  scores: { 'PII.Identifier.CreditCard': 0.97, 'PII.Contact.Address': 0.61 },
  confidence: 0.94,
  notes: 'card number in running text',
  provenance: { vendor: 'comply', detector: 'regex-pii', detector_version: '3.1', route: 'default' },
  processing_time_ms: 41,
  model_used: 'mapper-8b',
})}'`;
const METADATA = `'${JSON.stringify({ channel: 'support', language: 'en' })}'`;

function event(type: string, data: object): object {
  return {
    specversion: '1.0',
    id: '01912345-6789-7abc-8def-0123456789ab',
    source: '/comply-ai/backend',
    type,
    time: '2025-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    data: { tenant_id: 'acme', ...data },
  };
}

const ID = '01912345-6789-7abc-8def-0123456789ab';
const EVENTS = `'${JSON.stringify([
  event('com.comply-ai.usage.recorded.v1', { usage_unit: 'count', usage_type: 'api_calls', usage_amount: 1 }),
  event('com.comply-ai.audit.recorded.v1', {
    actor: 'key:abcdefghijklmnopqrst',
    action: 'mapping.created',
    resource_type: 'mapping',
    resource_id: ID,
    outcome: 'success',
    details: { detector: 'regex-pii', completed: true, record_id: ID },
    ip_address: null,
    user_agent: null,
    trace_id: '0123456789abcdef0123456789abcdef',
  }),
  event('com.comply-ai.record.archive-requested.v1', { record_id: ID }),
])}'`;

/** Adds a space after colons: pgbench reads a colon before a letter as a variable. */
function forPgbench(script: string): string {
  return script.replace(/:(?=[a-z])(?<!::)/g, ': ');
}

const BEGIN = `begin;
select set_config('app.current_tenant_id', 'acme', true);`;

const RECORD =
  `insert into storage_records (tenant_id, id, partition_day, source_data, mapped_data, model_version, detector,
  timestamp, metadata, source_id, encryption_key_id, created_at, expires_at, azure_region, resource_group)
values ('acme', uuidv7(), current_date, ${SEALED}, ${MAPPED}, 'mapper-2025.09', 'regex-pii', now(), ${METADATA}, uuidv7(),
  '${ID}', now(), now() + interval '90 days', 'eastus', 'comply-ai-rg');`.replaceAll('\n', ' ');

const REQUEST =
  `insert into mapper_requests (tenant_id, request_id, detector, output, source_data, encryption_key_id,
  model_version, metadata, idempotency_key, status, expires_at)
values ('acme', uuidv7(), 'regex-pii', '"credit_card"', ${SEALED}, '${ID}', 'mapper-2025.09', ${METADATA},
  gen_random_uuid()::text, 'completed', now() + interval '90 days');`.replaceAll('\n', ' ');

const RESPONSE =
  `insert into mapper_responses (tenant_id, request_id, record_id, taxonomy, scores, confidence, notes,
  provenance, processing_time_ms, model_used, fingerprint)
values ('acme', uuidv7(), '${ID}', '["PII.Identifier.CreditCard", "PII.Contact.Address"]',
  '{"PII.Identifier.CreditCard": 0.97, "PII.Contact.Address": 0.61}', 0.94, 'card number in running text',
  '{"vendor": "comply", "detector": "regex-pii", "detector_version": "3.1", "route": "default"}', 41, 'mapper-8b',
  '\\x${'5a'.repeat(32)}');`.replaceAll('\n', ' ');

const IDEMPOTENCY =
  `insert into ops.idempotency (tenant_id, route, key, fingerprint, status, headers, body, expires_at)
values ('acme', 'mappings-create', gen_random_uuid()::text, '\\x${'5a'.repeat(32)}', 201,
  '{"location": "/api/v1/mappings/${ID}", "content-type": "application/json"}', '${'x'.repeat(260)}',
  now() + interval '1 day');`.replaceAll('\n', ' ');

const OUTBOX = `insert into ops.outbox (id, tenant_id, events) values (uuidv7(), 'acme', ${EVENTS});`;

/** All rows of one mapping, one statement each: idempotency, request, response, record, outbox. */
export const SAME_ROWS = forPgbench(
  [BEGIN, IDEMPOTENCY, REQUEST, RESPONSE, RECORD, OUTBOX, 'commit;', ''].join('\n'),
);

/** The textbook transaction in five round trips: begin, the tenant, the record, the outbox row, commit. */
export const TEXTBOOK = forPgbench([BEGIN, RECORD, OUTBOX, 'commit;', ''].join('\n'));

const READ_COLUMNS =
  `id, tenant_id, detector, model_version, mapped_data, metadata, timestamp, source_table, source_id,
  encrypted, container_name, blob_url, encode(blob_sha256, 'hex') as blob_sha256, access_tier, archived_at, azure_region,
  resource_group, created_at, expires_at`.replaceAll('\n', ' ');

/** Reads one record by tenant, id and day, in a transaction that sets the tenant: four round trips. */
export function readRecord(id: string, day: string): string {
  const select = `select ${READ_COLUMNS} from storage_records where tenant_id = 'acme' and id = '${id}' and partition_day = '${day}';`;
  return forPgbench([BEGIN, select, 'commit;', ''].join('\n'));
}

/** Reads a page of a day's records, the newest first, in a transaction that sets the tenant. */
export function readPage(day: string, rows: number): string {
  const select =
    `select ${READ_COLUMNS} from storage_records where tenant_id = 'acme' and partition_day = '${day}'` +
    ` order by created_at desc, id desc limit ${rows};`;
  return forPgbench([BEGIN, select, 'commit;', ''].join('\n'));
}
