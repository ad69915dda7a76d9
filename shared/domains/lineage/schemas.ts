import { z } from 'zod';
import { uuid } from '../../platform/ids/uuid.ts';

/** What a lineage can be asked of. */
const LINEAGE_KINDS = ['orchestration', 'mapping', 'record', 'analysis'] as const;

/** `{kind}/{id}` in a path. */
export const lineageParams = z.object({ kind: z.enum(LINEAGE_KINDS), id: uuid });

const node = z.object({
  kind: z.enum([...LINEAGE_KINDS, 'detector_result', 'blob', 'audit_entry']),
  id: z.string().describe('Unique in the graph; edges name it.'),
  created_at: z.string(),
  href: z.string().optional().describe('Where the thing itself is read.'),
  status: z.string().optional(),
  detector: z.string().optional(),
  attempt: z.number().int().optional(),
  confidence: z.number().nullable().optional(),
  policy_bundle: z.string().optional(),
  model_version: z.string().optional(),
  analysis_type: z.string().optional(),
  evidence_refs: z
    .array(z.string())
    .optional()
    .describe('All of an analysis’s, also those that name nothing here.'),
  archived_at: z.string().nullable().optional(),
  expires_at: z.string().optional(),
  sha256: z.string().nullable().optional(),
  access_tier: z.string().nullable().optional(),
  bytes: z.number().nullable().optional(),
  action: z.string().optional(),
  actor: z.string().nullable().optional(),
  outcome: z.string().optional(),
});
/** One thing of a lineage. */
export type LineageNode = z.output<typeof node>;

const edge = z.object({
  from: z.string(),
  to: z.string(),
  relation: z
    .enum(['detected', 'mapped', 'recorded', 'archived', 'evidence_for', 'audited'])
    .describe('In the direction in which one came of the other.'),
});
/** That one thing came of another. */
export type LineageEdge = z.output<typeof edge>;

/** `GET /lineage/{kind}/{id}`. */
export const lineage = z.object({
  root: z.object({ kind: z.enum(LINEAGE_KINDS), id: uuid }),
  nodes: z.array(node),
  edges: z.array(edge),
  truncated: z.boolean().describe('True where there is more than is told of a kind here.'),
});
/** A thing with all that it came from and that came of it. */
export type Lineage = z.output<typeof lineage>;
