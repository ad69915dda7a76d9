import { hash } from 'node:crypto';
import { canonicalJson } from '../../platform/json/canonical-json.ts';

/**
 * What an audit entry's hash covers: who did what to what, when, and how it ended. Not where it was written down (region,
 * subscription), which is no part of what happened. Every field is always there, null where it has no value.
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

/** Goes up when the fields change; old entries keep the bytes that they were hashed over. */
const CANONICAL_VERSION = 1;
/** RFC 6962 §2.1: a leaf's hash begins with 0x00, so that no node's hash can pass for a leaf's. */
const LEAF_PREFIX = '\0';

/**
 * The canonical bytes of an entry (RFC 8785, as the text whose UTF-8 they are) and their leaf hash, SHA-256(0x00 ‖ bytes):
 * what the tenant's Merkle tree is made of, and what anyone can compute again.
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
