import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { hashEntry, type AuditFacts } from './entry-hash.ts';

const facts = {
  tenant_id: 'acme',
  id: '019ab000-0000-7000-8000-000000000001',
  event_source: '/comply-ai/backend',
  event_id: 'e1',
  created_at: '2026-11-24T10:00:00.123456Z',
  actor: 'key:k1',
  user_id: null,
  action: 'mapping.created',
  resource_type: 'mapping',
  resource_id: 'é€😀',
  outcome: 'success',
  details: { b: 1.0, a: [true, null, 1e21] },
  ip_address: null,
  user_agent: null,
  trace_id: null,
};

// Written by hand from RFC 8785: members in code unit order, no spaces, numbers as ECMAScript writes them.
const CANONICAL =
  '{"action":"mapping.created","actor":"key:k1","canonical_version":1,"created_at":"2026-11-24T10:00:00.123456Z",' +
  '"details":{"a":[true,null,1e+21],"b":1},"event_id":"e1","event_source":"/comply-ai/backend",' +
  '"id":"019ab000-0000-7000-8000-000000000001","ip_address":null,"outcome":"success","resource_id":"é€😀",' +
  '"resource_type":"mapping","tenant_id":"acme","trace_id":null,"user_agent":null,"user_id":null}';

test('an entry’s canonical bytes are those of RFC 8785, and its leaf hash those of RFC 6962', () => {
  const { canonical, leafHash } = hashEntry(facts);
  expect(canonical).toBe(CANONICAL);
  const expected = createHash('sha256').update(Buffer.concat([Buffer.of(0), Buffer.from(CANONICAL)]));
  expect(leafHash.equals(expected.digest())).toBe(true);
});

test('fields beyond the documented ones do not change the hash', () => {
  const more = { ...facts, azure_region: 'westeurope' };
  expect(hashEntry(more).leafHash.equals(hashEntry(facts).leafHash)).toBe(true);
});

/** For each field, a value that differs from that in {@link facts}. */
const OTHER: Readonly<Record<keyof AuditFacts, unknown>> = {
  tenant_id: 'globex',
  id: '019ab000-0000-7000-8000-000000000002',
  event_source: '/comply-ai/mapper',
  event_id: 'e2',
  created_at: '2026-11-24T10:00:00.123457Z',
  actor: null,
  user_id: 'u1',
  action: 'mapping.completed',
  resource_type: 'record',
  resource_id: null,
  outcome: 'denied',
  details: { b: 1.0, a: [true, null, 1e22] },
  ip_address: '10.0.0.1',
  user_agent: 'curl',
  trace_id: 't1',
};

test.each(Object.entries(OTHER))('another %s changes the hash', (field, value) => {
  const changed = { ...facts, [field]: value };
  expect(hashEntry(changed).leafHash.equals(hashEntry(facts).leafHash)).toBe(false);
  expect(JSON.parse(hashEntry(changed).canonical)).toEqual({ ...changed, canonical_version: 1 });
});
