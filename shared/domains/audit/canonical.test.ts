import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sealEntry } from './canonical.ts';

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
  const { canonical, leafHash } = sealEntry(facts);
  expect(canonical).toBe(CANONICAL);
  const expected = createHash('sha256').update(Buffer.concat([Buffer.of(0), Buffer.from(CANONICAL)]));
  expect(leafHash.equals(expected.digest())).toBe(true);
});

test('fields beyond the documented ones do not change the hash', () => {
  const more = { ...facts, azure_region: 'westeurope' };
  expect(sealEntry(more).leafHash.equals(sealEntry(facts).leafHash)).toBe(true);
});
