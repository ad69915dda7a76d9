import { randomUUID } from 'node:crypto';
import { openApiClient, type ApiClient } from '../client/api-client.ts';
import type { StackFacts } from '../client/stack-file.ts';
import { explain, heading, show, type Json } from './print.ts';
import { eventually, expect } from './requests.ts';

const DAY_MS = 86_400_000;

interface Clients {
  readonly writer: ApiClient;
  readonly owner: ApiClient;
  readonly operator: ApiClient;
  readonly other: ApiClient;
}

async function orchestrate({ writer }: Clients): Promise<string> {
  heading('An orchestration, in parts');
  const request = await expect(writer, [201], 'POST', '/api/v1/orchestrations', {
    content: 'Please send the report to jane.doe@example.com before Friday.',
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'prod',
    metadata: { demo: true },
  });
  const id = String(request['request_id']);
  const plan = await findPlan(writer);
  explain(
    `Orchestration ${id} is stored. The routing plan “default” asks for ${plan.join(', ')}. One of them times out at first.`,
  );
  const [first, ...rest] = plan;
  await expect(writer, [200, 201], 'POST', `/api/v1/orchestrations/${id}/detector-results`, {
    results: [
      { detector: first, status: 'timeout', processing_time_ms: 5000, error: 'no answer within 5 s' },
      ...rest.map((detector) => ({ detector, status: 'success', processing_time_ms: 40, confidence: 0.9 })),
    ],
  });
  await expect(writer, [200, 201], 'POST', `/api/v1/orchestrations/${id}/detector-results`, {
    results: [
      {
        detector: first,
        status: 'success',
        processing_time_ms: 35,
        confidence: 0.97,
        output: { taxonomy: ['PII.Contact.Email'] },
      },
    ],
  });
  const done = await expect(writer, [200, 206], 'PUT', `/api/v1/orchestrations/${id}/response`, {
    total_processing_time_ms: 5200,
  });
  show('Coverage, computed by the backend', {
    coverage_achieved: done['coverage_achieved'],
    status: done['status'],
  });
  const partial = await expect(writer, [201, 206], 'POST', '/api/v1/orchestrations', {
    content: 'Nobody looked at this one.',
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'prod',
    detector_results: [{ detector: first, status: 'unavailable', processing_time_ms: 3 }],
    response: { total_processing_time_ms: 3 },
  });
  show('Another one, complete in one call, without any available detector', {
    code: partial['code'],
    coverage_achieved: partial['coverage_achieved'],
    fallback_used: partial['fallback_used'],
  });
  return id;
}

async function findPlan(client: ApiClient): Promise<string[]> {
  const plans = await expect(client, [200], 'GET', '/api/v1/routing-plans?limit=500');
  const items = plans['items'] as Json[];
  const plan = items.find((item) => item['plan_name'] === 'default');
  return (plan?.['primary_detectors'] as string[] | undefined) ?? ['regex-pii'];
}

async function map(
  { writer, owner, other }: Clients,
  orchestrationId: string,
): Promise<{ requestId: string; recordId: string }> {
  heading('A mapping and its evidence');
  const mapping = await expect(writer, [201], 'POST', '/api/v1/mappings', {
    detector: 'regex-pii',
    source_data: 'jane.doe@example.com',
    output: 'email',
    model_version: 'demo-mapper-1',
    orchestration_request_id: orchestrationId,
    response: {
      taxonomy: ['PII.Contact.Email'],
      scores: { 'PII.Contact.Email': 0.98 },
      confidence: 0.98,
      processing_time_ms: 210,
      model_used: 'demo-mapper',
    },
  });
  const recordId = String(mapping['record_id']);
  const record = await eventually(
    () => expect(writer, [200], 'GET', `/api/v1/records/${recordId}`),
    (value) => typeof value['archived_at'] === 'string',
  );
  show('The storage record, after its blob is written', {
    id: record['id'],
    encrypted: record['encrypted'],
    blob_url: record['blob_url'],
    blob_sha256: record['blob_sha256'],
    expires_at: record['expires_at'],
  });
  const hidden = await writer.send('GET', `/api/v1/records/${recordId}/source`);
  explain(`The writer’s key asks for the source: ${hidden.status}. It lacks the permission.`);
  const source = await expect(owner, [200], 'GET', `/api/v1/records/${recordId}/source`);
  show('The owner’s key may read it, and the audit log will show that', source);
  const foreign = await other.send('GET', `/api/v1/records/${recordId}`);
  explain(`The tenant globex asks for the record: ${foreign.status}. It cannot see other tenants’ records.`);
  return { requestId: String(mapping['request_id']), recordId };
}

async function analyse({ writer }: Clients, recordId: string): Promise<string> {
  heading('An analysis without a response');
  const now = Date.now();
  const analysis = await expect(writer, [201], 'POST', '/api/v1/analyses', {
    period: { start: new Date(now - 7 * DAY_MS).toISOString(), end: new Date(now).toISOString() },
    metrics: { coverage: 0.93, findings: 1 },
    evidence_refs: [recordId],
  });
  const id = String(analysis['request_id']);
  const rendered = await expect(writer, [200, 201], 'POST', `/api/v1/analyses/${id}/fallback`, {});
  const response = (rendered['response'] as Json | undefined) ?? rendered;
  show('The template is used instead', {
    template_fallback_used: response['template_fallback_used'],
    explanation: response['explanation'],
  });
  return id;
}

async function lookBack({ writer, owner }: Clients, recordId: string): Promise<void> {
  heading('Lineage, audit log and usage');
  const lineage = await expect(writer, [200], 'GET', `/api/v1/lineage/record/${recordId}`);
  const edges = (lineage['edges'] as Json[] | undefined) ?? [];
  for (const edge of edges)
    explain(`${String(edge['from'])}  —${String(edge['relation'])}→  ${String(edge['to'])}`);
  const audit = await eventually(
    () => expect(owner, [200], 'GET', '/api/v1/audit-logs?limit=100'),
    (value) =>
      ((value['items'] as Json[] | undefined) ?? []).some(
        (entry) => entry['action'] === 'record.source_read',
      ),
  );
  const entries = ((audit['items'] as Json[] | undefined) ?? []).slice(0, 8);
  for (const entry of entries)
    explain(
      `${String(entry['created_at'])}  ${String(entry['action']).padEnd(28)} ${String(entry['resource_id'])}`,
    );
  show('Usage of this period', await expect(owner, [200], 'GET', '/api/v1/usage'));
}

async function ninetyDaysLater({ writer, operator }: Clients, recordId: string): Promise<void> {
  heading('Ninety-one days later');
  const asOf = new Date(Date.now() + 91 * DAY_MS).toISOString();
  const run = await expect(operator, [200, 202], 'POST', '/api/v1/platform/jobs/records-expire/runs', {
    as_of: asOf,
  });
  show(`records-expire, as of ${asOf.slice(0, 10)}`, run);
  const gone = await writer.send('GET', `/api/v1/records/${recordId}`);
  explain(`The record: ${gone.status}. Its blob stays for seven years.`);
}

function openClients(stack: StackFacts): Clients {
  const { acme, globex } = stack.tenants;
  if (acme === undefined || globex === undefined)
    throw new Error('The stack does not have the tenants acme and globex.');
  const as = (key: string): ApiClient => openApiClient(stack.base_url, key);
  return {
    writer: as(acme.writer),
    owner: as(acme.owner),
    operator: as(stack.operator),
    other: as(globex.reader),
  };
}

/** A day of the tenant acme. */
export async function showDay(stack: StackFacts): Promise<void> {
  const clients = openClients(stack);
  explain(`A day of the tenant acme, on ${stack.base_url} (run ${randomUUID().slice(0, 8)}).`);
  const orchestrationId = await orchestrate(clients);
  const { recordId } = await map(clients, orchestrationId);
  await analyse(clients, recordId);
  await lookBack(clients, recordId);
  await ninetyDaysLater(clients, recordId);
  explain(`Done. To try more: ${stack.base_url}/api/docs`);
}
