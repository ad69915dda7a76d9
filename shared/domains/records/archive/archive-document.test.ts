import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { archiveDocument, type ArchivableRecord } from './archive-document.ts';

const record: ArchivableRecord = {
  tenant_id: 'acme',
  id: '019a0000-0000-7000-8000-000000000001',
  source_data: Buffer.from([1, 2, 3]),
  mapped_data: { taxonomy: ['PII.Contact.Email'], confidence: 0.5, provenance: { detector: 'regex-pii' } },
  model_version: 'v1',
  detector: 'regex-pii',
  timestamp: '2026-03-04T05:06:07.000008Z',
  metadata: { b: 1, a: 'ü' },
  source_table: 'mapper_requests',
  source_id: '019a0000-0000-7000-8000-000000000002',
  s3_key: null,
  encryption_key_id: '019a0000-0000-7000-8000-000000000003',
  created_at: '2026-03-04T05:06:07.000008Z',
  azure_region: 'eastus',
  resource_group: 'comply-ai-rg',
  subscription_id: null,
};

it('the order of a record’s fields does not change its document', () => {
  const document = archiveDocument(record);
  const shuffled = Object.fromEntries(Object.entries(record).reverse()) as unknown as ArchivableRecord;
  const again = archiveDocument({ ...shuffled, metadata: { a: 'ü', b: 1 } });
  expect(again.bytes.equals(document.bytes)).toBe(true);
  expect(document.sha256).toEqual(createHash('sha256').update(document.bytes).digest());
  expect(document.bytes.toString()).toMatch(/"metadata":\{"a":"ü","b":1\}/);
});

it('a record’s document is under the UTC day of its creation', () => {
  const { name } = archiveDocument(record);
  expect(name).toBe(`mappings/acme/2026/03/04/${record.id}.json`);
});
