import { z } from 'zod';
import { freeForm, instant } from '../../platform/http/fields.ts';
import { pageQuery } from '../../platform/http/pagination.ts';
import { uuid } from '../../platform/ids/uuid.ts';

/** A storage record for reads, without the sealed source. */
export const storageRecord = z.object({
  id: uuid,
  tenant_id: z.string(),
  detector: z.string(),
  model_version: z.string(),
  mapped_data: freeForm.describe('The mapper’s response, in canonical form.'),
  metadata: freeForm,
  timestamp: z.string(),
  source_table: z.string(),
  source_id: uuid.describe('The mapping that the record came from.'),
  encrypted: z.boolean(),
  container_name: z.string(),
  blob_url: z.string().nullable().describe('The archived document; null until it is written.'),
  blob_sha256: z.string().nullable().describe('SHA-256 of the archived document’s bytes, in hex.'),
  access_tier: z.string().nullable(),
  archived_at: z.string().nullable(),
  azure_region: z.string(),
  resource_group: z.string(),
  created_at: z.string(),
  expires_at: z.string(),
});
export type StorageRecord = z.output<typeof storageRecord>;

/** `GET /records`. */
export const recordsQuery = z.object({
  ...pageQuery,
  detector: z.string().max(200).optional(),
  model_version: z.string().max(100).optional(),
  label: z.string().max(200).optional().describe('A taxonomy label of the record.'),
  archived: z
    .stringbool({ truthy: ['true'], falsy: ['false'] })
    .optional()
    .describe('Whether the record is archived.'),
  from: instant.optional().describe('Created at or after this instant.'),
  to: instant.optional().describe('Created before this instant.'),
});
export type RecordsQuery = z.output<typeof recordsQuery>;

/** `GET /records/{id}/source`. */
export const recordSource = z.object({
  id: uuid,
  source_table: z.string(),
  source_id: uuid,
  source_data: z.string().describe('The mapped text, in clear.'),
  sha256: z.string().describe('SHA-256 of the source in UTF-8, in hex.'),
  encryption_key_id: uuid,
});
export type RecordSource = z.output<typeof recordSource>;
