import type { z } from 'zod';
import type { Call } from '../../platform/call/call.ts';
import { Problem } from '../../platform/call/problem.ts';
import { ok, type Reply } from '../../platform/call/reply.ts';
import type { Found } from '../../platform/db/find-limited.ts';
import { findAnalysesOf, findAnalysis } from '../analysis/lineage.ts';
import { findAuditEntries } from '../audit/lineage.ts';
import { findMappings } from '../mapping/lineage.ts';
import { findOrchestrations, findResults } from '../orchestration/lineage.ts';
import { findRecords } from '../records/lineage.ts';
import { LineageGraph } from './graph.ts';
import type { Lineage, lineageParams } from './schemas.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** The most nodes of each kind in one graph: people look at it. */
const MAPPINGS_MAX = 200;
const RESULTS_MAX = 200;
const ANALYSES_MAX = 100;
const AUDIT_ENTRIES_MAX = 200;

/**
 * Everything that the root came from, and everything that came from the root: orchestration, detector results, mapping,
 * record, blob, analyses, and their audit entries. Other results of the root's origins are left out.
 * @throws Problem 404 if the tenant has no such root, or it has expired.
 */
export async function readLineage(
  call: Call,
  root: z.output<typeof lineageParams>,
): Promise<Reply<200, Lineage>> {
  const reader = new Reader(call);
  await reader.readRoot(root);
  const { graph } = reader;
  const since = graph.earliest();
  if (since === undefined || !graph.has(root.id))
    throw new Problem('NOT_FOUND', { detail: `There is no such ${root.kind}.` });
  if (root.kind !== 'analysis') {
    // Analyses are looked up for the root and for what came from it, not for the root's origins.
    const below = await findAnalysesOf(call, graph.below(root.id), since, ANALYSES_MAX);
    reader.take(below).forEach((analysis) => graph.addAnalysis(analysis));
  }
  const audit = reader.take(await findAuditEntries(call, graph.nodes(), since, AUDIT_ENTRIES_MAX));
  audit.forEach((entry) => graph.addAuditEntry(entry));
  return ok({ root, nodes: graph.nodes(), edges: graph.edges(), truncated: reader.truncated });
}

class Reader {
  readonly graph = new LineageGraph();
  readonly #call: Call;
  truncated = false;

  constructor(call: Call) {
    this.#call = call;
  }

  take<T>(found: Found<T>): readonly T[] {
    this.truncated ||= found.truncated;
    return found.items;
  }

  async readRoot(root: z.output<typeof lineageParams>): Promise<void> {
    switch (root.kind) {
      case 'orchestration':
        await this.#readOrchestration(root.id);
        return;
      case 'mapping':
        await this.#readMappings([root.id]);
        return;
      case 'record':
        await this.#readRecords([root.id]);
        return;
      case 'analysis':
        await this.#readAnalysis(root.id);
        return;
      default:
        root.kind satisfies never;
    }
  }

  async #readOrchestration(id: string): Promise<void> {
    const [orchestrations, results, mappings] = await Promise.all([
      findOrchestrations(this.#call, [id]),
      findResults(this.#call, [id], RESULTS_MAX),
      findMappings(this.#call, 'orchestration_request_id', [id], MAPPINGS_MAX),
    ]);
    this.take(orchestrations).forEach((one) => this.graph.addOrchestration(one));
    this.take(results).forEach((one) => this.graph.addResult(one));
    const found = this.take(mappings);
    found.forEach((one) => this.graph.addMapping(one));
    const records = await findRecords(
      this.#call,
      found.flatMap((one) => one.record_id ?? []),
    );
    this.take(records).forEach((one) => this.graph.addRecord(one));
  }

  /** Mappings, their records, and the orchestrations with the results that they map. */
  async #readMappings(ids: readonly string[]): Promise<void> {
    const mappings = this.take(await findMappings(this.#call, 'request_id', ids, MAPPINGS_MAX));
    const origins = [...new Set(mappings.flatMap((one) => one.orchestration_id ?? []))];
    const [orchestrations, results, records] = await Promise.all([
      findOrchestrations(this.#call, origins),
      findResults(this.#call, origins, RESULTS_MAX),
      findRecords(
        this.#call,
        mappings.flatMap((one) => one.record_id ?? []),
      ),
    ]);
    this.take(orchestrations).forEach((one) => this.graph.addOrchestration(one));
    this.take(results)
      .filter((one) =>
        mappings.some((m) => m.orchestration_id === one.request_id && m.detector === one.detector),
      )
      .forEach((one) => this.graph.addResult(one));
    mappings.forEach((one) => this.graph.addMapping(one));
    this.take(records).forEach((one) => this.graph.addRecord(one));
  }

  async #readRecords(ids: readonly string[]): Promise<void> {
    const records = this.take(await findRecords(this.#call, ids));
    await this.#readMappings(records.map((one) => one.source_id));
    records.forEach((one) => this.graph.addRecord(one));
  }

  /** An analysis and its evidence that this service has. A reference does not tell its kind. */
  async #readAnalysis(id: string): Promise<void> {
    const [analysis] = this.take(await findAnalysis(this.#call, id));
    if (analysis === undefined) return;
    const refs = analysis.evidence_refs.flatMap((ref) => uuid.safeParse(ref).data ?? []);
    const [orchestrations, results] = await Promise.all([
      findOrchestrations(this.#call, refs),
      findResults(this.#call, refs, RESULTS_MAX),
      this.#readRecords(refs),
      this.#readMappings(refs),
    ]);
    this.take(orchestrations).forEach((one) => this.graph.addOrchestration(one));
    this.take(results).forEach((one) => this.graph.addResult(one));
    this.graph.addAnalysis(analysis);
  }
}
