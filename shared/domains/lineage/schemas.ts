import { z } from 'zod';
import { uuid } from '../../platform/ids/uuid.ts';

/** The kinds of roots. */
const LINEAGE_KINDS = ['orchestration', 'mapping', 'record', 'analysis'] as const;

/** `{kind}/{id}` in a path. */
export const lineageParams = z.object({ kind: z.enum(LINEAGE_KINDS), id: uuid });

const node = z.object({
  kind: z.enum([...LINEAGE_KINDS, 'detector_result', 'blob', 'audit_entry']),
  id: z.string().describe('Unique in the graph; edges name it.'),
  created_at: z.string(),
  href: z.string().optional().describe('The URL of the node’s resource.'),
  status: z.string().optional(),
  detector: z.string().optional(),
  attempt: z.number().int().optional(),
  confidence: z.number().nullable().optional(),
  policy_bundle: z.string().optional(),
  model_version: z.string().optional(),
  analysis_type: z.string().optional(),
  evidence_refs: z.array(z.string()).optional().describe('All references of an analysis, also unknown ones.'),
  archived_at: z.string().nullable().optional(),
  expires_at: z.string().optional(),
  sha256: z.string().nullable().optional(),
  access_tier: z.string().nullable().optional(),
  bytes: z.number().nullable().optional(),
  action: z.string().optional(),
  actor: z.string().nullable().optional(),
  outcome: z.string().optional(),
  trace_id: z.string().nullable().optional().describe('The trace of the request that an entry is about.'),
});
/** One node of a lineage. */
export type LineageNode = z.output<typeof node>;

const edge = z.object({
  from: z.string(),
  to: z.string(),
  relation: z
    .enum(['detected', 'mapped', 'recorded', 'archived', 'evidence_for', 'audited'])
    .describe('`to` came from `from`.'),
});
/** One node came from another. */
export type LineageEdge = z.output<typeof edge>;

/** `GET /lineage/{kind}/{id}`. */
export const lineage = z.object({
  root: z.object({ kind: z.enum(LINEAGE_KINDS), id: uuid }),
  nodes: z.array(node),
  edges: z.array(edge),
  truncated: z.boolean().describe('True if a kind has more nodes than are shown.'),
});
/** The lineage of one root. */
export type Lineage = z.output<typeof lineage>;
