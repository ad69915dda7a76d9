import { hash } from 'node:crypto';
import { canonicalJson } from '../../platform/json/canonical-json.ts';

/**
 * The fields that an audit entry's hash covers: who did what to what, when, and with what outcome. The region and the
 * subscription are not covered: they say where the entry was written. Every field is present, null without a value.
 */
export interface AuditFacts {
  readonly tenant_id: string;
  readonly id: string;
  readonly event_source: string;
  readonly event_id: string;
  /** RFC 3339 in UTC with six digits of a second. */
  readonly created_at: string;
  readonly actor: string | null;
  readonly user_id: string | null;
  readonly action: string;
  readonly resource_type: string;
  readonly resource_id: string | null;
  readonly outcome: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly ip_address: string | null;
  readonly user_agent: string | null;
  readonly trace_id: string | null;
}

/** Increased when the fields change. Old entries keep the bytes of their version. */
const CANONICAL_VERSION = 1;
/** RFC 6962 §2.1: 0x00 before a leaf's bytes, so that an inner node's hash cannot be used as a leaf's. */
const LEAF_PREFIX = '\0';

/**
 * An entry's canonical JSON (RFC 8785) and the leaf hash of its UTF-8 bytes: SHA-256(0x00 ‖ bytes). A tenant's Merkle tree
 * is built from these hashes, and anyone can compute them again.
 */
export function hashEntry(facts: AuditFacts): { readonly canonical: string; readonly leafHash: Buffer } {
  const canonical = canonicalJson({
    canonical_version: CANONICAL_VERSION,
    tenant_id: facts.tenant_id,
    id: facts.id,
    event_source: facts.event_source,
    event_id: facts.event_id,
    created_at: facts.created_at,
    actor: facts.actor,
    user_id: facts.user_id,
    action: facts.action,
    resource_type: facts.resource_type,
    resource_id: facts.resource_id,
    outcome: facts.outcome,
    details: facts.details,
    ip_address: facts.ip_address,
    user_agent: facts.user_agent,
    trace_id: facts.trace_id,
  });
  return { canonical, leafHash: hash('sha256', LEAF_PREFIX + canonical, 'buffer') };
}
