import type { AnalysisItem } from '../analysis/lineage.ts';
import type { AuditItem } from '../audit/lineage.ts';
import type { MappingItem } from '../mapping/lineage.ts';
import type { OrchestrationItem, ResultItem } from '../orchestration/lineage.ts';
import type { RecordItem } from '../records/lineage.ts';
import { archiveName } from '../records/archive/archive-document.ts';
import type { LineageEdge, LineageNode } from './schemas.ts';

/** Builds a lineage. Nodes may be added in any order and more than once. Edges are made at the end, between known nodes. */
export class LineageGraph {
  readonly #nodes = new Map<string, LineageNode>();
  readonly #mappings = new Map<string, MappingItem>();
  readonly #analyses = new Map<string, AnalysisItem>();
  readonly #results = new Map<string, ResultItem>();
  readonly #blobs = new Map<string, string>();
  readonly #audited: LineageEdge[] = [];

  addOrchestration(item: OrchestrationItem): void {
    const { id, created_at, status, policy_bundle } = item;
    const href = `/api/v1/orchestrations/${id}`;
    this.#nodes.set(id, { kind: 'orchestration', id, created_at, href, status, policy_bundle });
  }

  addResult(item: ResultItem): void {
    const id = resultId(item);
    const { created_at, status, detector, attempt, confidence } = item;
    this.#results.set(id, item);
    this.#nodes.set(id, { kind: 'detector_result', id, created_at, status, detector, attempt, confidence });
  }

  addMapping(item: MappingItem): void {
    const { id, created_at, status, detector, model_version, confidence } = item;
    const href = `/api/v1/mappings/${id}`;
    this.#mappings.set(id, item);
    this.#nodes.set(id, {
      kind: 'mapping',
      id,
      created_at,
      href,
      status,
      detector,
      model_version,
      confidence,
    });
  }

  /** Adds a record and, if it is archived, its blob. */
  addRecord(item: RecordItem): void {
    const { id, created_at, detector, model_version, archived_at, expires_at } = item;
    const href = `/api/v1/records/${id}`;
    this.#nodes.set(id, {
      kind: 'record',
      id,
      created_at,
      href,
      detector,
      model_version,
      archived_at,
      expires_at,
    });
    if (item.blob_url === null || archived_at === null) return;
    const blobId = `${item.container_name}/${archiveName(item)}`;
    this.#blobs.set(id, blobId);
    this.#nodes.set(blobId, {
      kind: 'blob',
      id: blobId,
      created_at: archived_at,
      href: item.blob_url,
      sha256: item.blob_sha256,
      access_tier: item.access_tier,
      bytes: item.blob_bytes,
    });
  }

  addAnalysis(item: AnalysisItem): void {
    const { id, created_at, status, analysis_type, evidence_refs } = item;
    const href = `/api/v1/analyses/${id}`;
    this.#analyses.set(id, item);
    this.#nodes.set(id, {
      kind: 'analysis',
      id,
      created_at,
      href,
      status,
      analysis_type,
      evidence_refs: [...evidence_refs],
    });
  }

  addAuditEntry(item: AuditItem): void {
    const { id, created_at, action, actor, outcome, resource_id, trace_id } = item;
    const href = `/api/v1/audit-logs/${id}`;
    this.#nodes.set(id, { kind: 'audit_entry', id, created_at, href, action, actor, outcome, trace_id });
    this.#audited.push({ from: resource_id, to: id, relation: 'audited' });
  }

  has(id: string): boolean {
    return this.#nodes.has(id);
  }

  nodes(): LineageNode[] {
    return [...this.#nodes.values()];
  }

  /** When the oldest node was made, rounded down to the millisecond. */
  earliest(): string | undefined {
    if (this.#nodes.size === 0) return undefined;
    return new Date(Math.min(...this.nodes().map((node) => Date.parse(node.created_at)))).toISOString();
  }

  /** The ids of a node and of everything that came from it. */
  below(root: string): string[] {
    const edges = this.edges();
    const reached = new Set([root]);
    // Iterating a set also visits what is added meanwhile.
    for (const from of reached) for (const edge of edges) if (edge.from === from) reached.add(edge.to);
    return [...reached];
  }

  edges(): LineageEdge[] {
    const edges = [
      ...[...this.#results.entries()].map(([id, item]) => edge(item.request_id, id, 'detected')),
      ...[...this.#mappings.values()].flatMap((item) => this.#edgesOfMapping(item)),
      ...[...this.#blobs.entries()].map(([record, blob]) => edge(record, blob, 'archived')),
      ...[...this.#analyses.values()].flatMap((item) =>
        [...new Set(item.evidence_refs)].map((ref) => edge(ref, item.id, 'evidence_for')),
      ),
      ...this.#audited,
    ];
    return edges.filter(({ from, to }) => this.#nodes.has(from) && this.#nodes.has(to));
  }

  /** A mapping comes from its detector's newest result. Without such a result, it comes from the orchestration. */
  #edgesOfMapping(item: MappingItem): LineageEdge[] {
    const recorded = item.record_id === null ? [] : [edge(item.id, item.record_id, 'recorded')];
    if (item.orchestration_id === null) return recorded;
    const [result] = [...this.#results.values()]
      .filter((one) => one.request_id === item.orchestration_id && one.detector === item.detector)
      .sort((left, right) => right.attempt - left.attempt);
    const origin = result === undefined ? item.orchestration_id : resultId(result);
    return [edge(origin, item.id, 'mapped'), ...recorded];
  }
}

function edge(from: string, to: string, relation: LineageEdge['relation']): LineageEdge {
  return { from, to, relation };
}

function resultId(item: ResultItem): string {
  return `${item.request_id}/${item.detector}/${item.attempt}`;
}
