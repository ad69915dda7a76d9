import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { startTestApp, until } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex } = app.keys;

interface Node {
  readonly kind: string;
  readonly id: string;
  readonly href?: string;
}
interface Graph {
  readonly nodes: Node[];
  readonly edges: { from: string; to: string; relation: string }[];
  readonly truncated: boolean;
}

const post = async (path: string, body: unknown): Promise<Record<string, string>> => {
  const answer = await app.request('POST', `/api/v1/${path}`, { key: acme.writer, body });
  expect(answer.status).toBe(201);
  return answer.body;
};
const lineage = async (kind: string, id: string): Promise<Graph> => {
  const { status, body } = await app.request('GET', `/api/v1/lineage/${kind}/${id}`, { key: acme.reader });
  expect(status).toBe(200);
  return body;
};
const kindsOf = (graph: Graph): string[] => [...new Set(graph.nodes.map((node) => node.kind))].sort();
const edge = (graph: Graph, relation: string) => graph.edges.filter((one) => one.relation === relation);

const response = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.9 },
  confidence: 0.9,
  processing_time_ms: 1,
  model_used: 'm',
};
const made = { orchestration: '', mapping: '', record: '', analysis: '', sibling: '' };

beforeAll(async () => {
  const orchestration = await post('orchestrations', {
    content: 'text',
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'prod',
    detector_results: [
      { detector: 'regex-pii', status: 'timeout', processing_time_ms: 5 },
      { detector: 'regex-pii', status: 'success', processing_time_ms: 5, confidence: 0.9 },
    ],
  });
  made.orchestration = orchestration['request_id'] ?? '';
  const mapping = {
    source_data: 'x',
    model_version: 'v1',
    orchestration_request_id: made.orchestration,
    response,
  };
  const body = await post('mappings', { ...mapping, detector: 'regex-pii' });
  made.mapping = body['request_id'] ?? '';
  made.record = body['record_id'] ?? '';
  made.sibling = (await post('mappings', { ...mapping, detector: 'other' }))['request_id'] ?? '';
  const analysis = await post('analyses', {
    period: { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' },
    metrics: { coverage: 0.5 },
    evidence_refs: [made.record, 'ticket 12'],
  });
  made.analysis = analysis['request_id'] ?? '';
  await until(
    () => app.admin.core`
      select from audit_logs where resource_id = any(${Object.values(made)}) or action = 'record.archived'`,
    (rows) => rows.length >= 6,
  );
});

describe('the lineage', () => {
  it('of a record has its detector’s result, its blob, its analysis and its audit entries', async () => {
    const graph = await lineage('record', made.record);
    expect(kindsOf(graph)).toEqual([
      'analysis',
      'audit_entry',
      'blob',
      'detector_result',
      'mapping',
      'orchestration',
      'record',
    ]);
    expect(edge(graph, 'recorded')).toEqual([{ from: made.mapping, to: made.record, relation: 'recorded' }]);
    expect(edge(graph, 'mapped')).toEqual([
      { from: `${made.orchestration}/regex-pii/2`, to: made.mapping, relation: 'mapped' },
    ]);
    expect(edge(graph, 'evidence_for')).toEqual([
      { from: made.record, to: made.analysis, relation: 'evidence_for' },
    ]);
    expect(edge(graph, 'archived')).toHaveLength(1);
    // Not other results of the orchestration.
    expect(graph.nodes.map((node) => node.id)).not.toContain(made.sibling);
    expect(graph.truncated).toBe(false);
  });

  it.each(['orchestration', 'mapping', 'record', 'analysis'] as const)(
    'of one %s has the record, its blob, and only edges between its nodes',
    async (kind) => {
      const graph = await lineage(kind, made[kind]);
      const ids = new Set(graph.nodes.map((node) => node.id));
      expect(ids.size).toBe(graph.nodes.length);
      expect(ids).toContain(made.record);
      expect(edge(graph, 'archived')).toHaveLength(kind === 'orchestration' ? 2 : 1);
      for (const { from, to } of graph.edges) expect([ids.has(from), ids.has(to)]).toEqual([true, true]);
      const audited = new Set(edge(graph, 'audited').map(({ from }) => from));
      for (const id of [made.record, made.mapping, made[kind]]) expect(audited).toContain(id);
    },
  );

  it('of an orchestration has each attempt, and everything that came from it', async () => {
    const graph = await lineage('orchestration', made.orchestration);
    expect(graph.nodes.map((node) => node.id)).toContain(made.sibling);
    expect(edge(graph, 'detected').map(({ to }) => to)).toEqual(
      expect.arrayContaining([`${made.orchestration}/regex-pii/1`, `${made.orchestration}/regex-pii/2`]),
    );
    // A mapping of a detector without a result comes from the orchestration.
    expect(edge(graph, 'mapped')).toContainEqual({
      from: made.orchestration,
      to: made.sibling,
      relation: 'mapped',
    });
  });

  it('has a URL for each resource', async () => {
    const graph = await lineage('record', made.record);
    for (const { kind, href } of graph.nodes) {
      if (kind === 'detector_result' || kind === 'blob') continue;
      expect((await app.request('GET', href ?? '', { key: acme.owner })).status).toBe(200);
    }
  });

  it('is 404 for another tenant, and for an unknown or expired root', async () => {
    const ask = async (path: string, key: string) =>
      (await app.request('GET', `/api/v1/lineage/${path}`, { key })).status;
    expect(await ask(`record/${made.record}`, globex.owner)).toBe(404);
    expect(await ask(`record/${randomUUID()}`, acme.reader)).toBe(404);
    expect(await ask(`mapping/${made.record}`, acme.reader)).toBe(404);
    expect(await ask(`blob/${made.record}`, acme.reader)).toBe(400);
    expect(await ask('record/x', acme.reader)).toBe(400);
    const gone = await post('analyses', {
      period: { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' },
      metrics: { coverage: 0.5 },
    });
    await app.admin
      .core`update analysis_requests set expires_at = now() where request_id = ${gone['request_id'] ?? ''}`;
    expect(await ask(`analysis/${gone['request_id'] ?? ''}`, acme.reader)).toBe(404);
  });

  it('says so if it does not show all nodes', async () => {
    const orchestration = await post('orchestrations', {
      content: 'text',
      content_type: 'text',
      policy_bundle: 'default',
      environment: 'prod',
    });
    const id = orchestration['request_id'] ?? '';
    for (let n = 0; n < 3; n++) {
      const items = Array.from({ length: 70 }, () => ({
        detector: 'regex-pii',
        source_data: 'x',
        model_version: 'v1',
        orchestration_request_id: id,
      }));
      const { status } = await app.request('POST', '/api/v1/mappings/batch', {
        key: acme.writer,
        body: { items },
      });
      expect(status).toBe(207);
    }
    const graph = await lineage('orchestration', id);
    expect(graph.truncated).toBe(true);
    expect(graph.nodes.filter((node) => node.kind === 'mapping')).toHaveLength(200);
  });
});
