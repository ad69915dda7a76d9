import { beforeAll, describe, expect, it } from 'vitest';
import { traceTree, type TreeLine } from '../../dev/telemetry/trace-tree.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { startTestApp, until } from '../harness/app.ts';
import { openCollector, SPANS_SOON, untilExported } from '../harness/telemetry.ts';

const collector = await openCollector();
const app = await startTestApp({ settings: { ...collector.settings, ...SPANS_SOON } });

const mapping = () => ({
  detector: 'regex-pii',
  source_data: 'SSN 123-45-6789',
  model_version: 'v1',
  response: {
    taxonomy: ['PII.Identifier.SSN'],
    scores: { 'PII.Identifier.SSN': 0.9 },
    confidence: 0.9,
    processing_time_ms: 10,
    model_used: 'mapper-8b',
  },
});

async function write(traceId = newId().replaceAll('-', '')) {
  const answer = await app.request('POST', '/api/v1/mappings', {
    key: app.keys.acme.writer,
    body: mapping(),
    headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
  });
  expect(answer.status).toBe(201);
  return { traceId, record: String(answer.body.record_id), mapping: String(answer.body.request_id) };
}

const namesOf = (lines: readonly TreeLine[]): string[] => lines.map(({ span }) => span.name);

/** Waits until a trace shows all that a write causes. */
function wholeTrace(traceId: string, names: readonly string[]): Promise<TreeLine[]> {
  return until(
    () => Promise.resolve(traceTree(collector.spans, traceId)),
    (lines) => names.every((name) => namesOf(lines).includes(name)),
    30,
  );
}

const WHOLE = [
  'POST /v1/mappings',
  'await mappings-create',
  'write mappings-create',
  'publish audit-events',
  'process audit-events',
  'publish usage-events',
  'process usage-events',
  'publish archive-records',
  'process archive-records',
  'archive record',
  'blob create',
  'insert audit_logs',
];

beforeAll(() => untilExported(app, collector), 60_000);

describe('the trace of a request', () => {
  it('goes from its client through the statement and the messages to the consumers and the blob', async () => {
    const { traceId } = await write();
    const lines = await wholeTrace(traceId, WHOLE);
    const [first] = lines;
    // The host's span is between the client's and ours. Here, nobody exports it.
    expect(first?.span).toMatchObject({
      name: 'POST /v1/mappings',
      trace: traceId,
      parent: expect.any(String),
    });
    const depthOf = (name: string): number => lines.find(({ span }) => span.name === name)?.depth ?? -1;
    expect(depthOf('write mappings-create')).toBe(depthOf('await mappings-create') + 1);
    expect(depthOf('process audit-events')).toBe(depthOf('publish audit-events') + 1);
    expect(depthOf('blob create')).toBe(depthOf('archive record') + 1);
  });

  it('is whole too for each of many requests that share a statement and messages', async () => {
    const written = await Promise.all(Array.from({ length: 40 }, () => write()));
    for (const { traceId } of written) await wholeTrace(traceId, WHOLE);
    const statements = collector.spans.filter(({ name }) => name === 'write mappings-create');
    expect(statements.some(({ links }) => links.length > 0)).toBe(true);
  });

  it('is found by the id of its record, and the record by the trace', async () => {
    const { traceId, record } = await write();
    const lineage = await until(
      () => app.request('GET', `/api/v1/lineage/record/${record}`, { key: app.keys.acme.owner }),
      ({ body }) => JSON.stringify(body).includes(traceId),
    );
    const entries = lineage.body.nodes.filter((node: { kind: string }) => node.kind === 'audit_entry');
    expect(entries.map((entry: { trace_id: string | null }) => entry.trace_id)).toContain(traceId);
    const path = `/api/v1/audit-logs?trace_id=${traceId}`;
    const { body } = await app.request('GET', path, { key: app.keys.acme.owner });
    expect(body.items).toHaveLength(1);
    expect(body.items[0]).toMatchObject({ action: 'mapping.created', trace_id: traceId });
    const other = await app.request('GET', path, { key: app.keys.globex.owner });
    expect(other.body.items).toEqual([]);
  });

  it('is followed when the caller’s says so, and not exported when it says not', async () => {
    const traceId = newId().replaceAll('-', '');
    const answer = await app.request('POST', '/api/v1/mappings', {
      key: app.keys.acme.writer,
      body: mapping(),
      headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-00` },
    });
    expect(answer.headers.get('x-ms-request-id')).toBe(traceId);
    expect(answer.headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
    const { traceId: later } = await write();
    await wholeTrace(later, WHOLE);
    expect(collector.spans.filter(({ trace }) => trace === traceId)).toEqual([]);
  });

  it('is not disturbed by an event whose traceparent is no traceparent', async () => {
    const action = `odd-${newId()}`;
    const events = ['', 'x'.repeat(500), 7, '00-0-0-00', null].map((traceparent) => ({
      specversion: '1.0',
      id: newId(),
      source: '/odd',
      type: 'com.comply-ai.audit.recorded.v1',
      time: new Date().toISOString(),
      traceparent,
      data: { tenant_id: 'acme', action, resource_type: 'odd' },
    }));
    const message = { body: Buffer.from(JSON.stringify(events)), messageId: newId() };
    await app.services.bus.send('audit-events', [
      { ...message, applicationProperties: { traceparent: 'nonsense', 'Diagnostic-Id': 7 } },
    ]);
    const rows = await until(
      () => app.admin.core`select event_id from audit_logs where action = ${action}`,
      (found) => found.length === events.length,
    );
    expect(rows).toHaveLength(events.length);
  });
});

describe('a refused request', () => {
  it('is a span with the status and the code, and without what was wrong', async () => {
    const { headers } = await app.request('POST', '/api/v1/mappings', {
      key: app.keys.acme.writer,
      body: { secret_field: 'planted' },
    });
    const traceId = headers.get('x-ms-request-id') ?? '';
    const [line] = await until(
      () => Promise.resolve(traceTree(collector.spans, traceId)),
      (lines) => lines.length > 0,
    );
    expect(line?.span.attributes).toMatchObject({
      'http.response.status_code': '400',
      'error.type': 'INVALID_REQUEST',
      'http.route': '/v1/mappings',
    });
  });
});
