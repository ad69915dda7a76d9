import { createHash } from 'node:crypto';
import { canonicalJson } from '../../../platform/json/canonical-json.ts';

/** The schema of archived documents. A reader must refuse any other schema. */
const DOCUMENT_SCHEMA = 'com.comply-ai.record.v1';
/** The format of `source.sealed`, for readers years from now. `crypto/sealing` describes the envelope. */
const SEAL = 'aes-256-gcm;envelope=1';

/** The fields of a document: those of a record that never change. */
export interface ArchivableRecord {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly id: string;
  readonly source_data: Buffer;
  readonly mapped_data: Readonly<Record<string, unknown>>;
  readonly model_version: string;
  readonly detector: string;
  /** RFC 3339 with microseconds, like `created_at`. */
  readonly timestamp: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly source_table: string;
  readonly source_id: string;
  readonly s3_key: string | null;
  readonly encryption_key_id: string;
  readonly created_at: string;
  readonly azure_region: string;
  readonly resource_group: string;
  readonly subscription_id: string | null;
}

/** A document to write. */
export interface ArchiveDocument {
  readonly name: string;
  readonly bytes: Buffer;
  readonly sha256: Buffer;
}

/**
 * The name of a record's blob: `mappings/{tenant}/{year}/{month}/{day}/{id}.json`, by the UTC day of its creation. The database
 * reads the record's id from it (`ops.blobs.record_id`).
 */
export function archiveName(record: Pick<ArchivableRecord, 'tenant_id' | 'id' | 'created_at'>): string {
  const [year, month, day] = record.created_at.slice(0, 10).split('-');
  return `mappings/${record.tenant_id}/${year}/${month}/${day}/${record.id}.json`;
}

/**
 * The record as canonical JSON (RFC 8785): the same record always gives the same bytes. The source stays sealed.
 */
export function archiveDocument(record: ArchivableRecord): ArchiveDocument {
  const text = canonicalJson({
    schema: DOCUMENT_SCHEMA,
    id: record.id,
    tenant_id: record.tenant_id,
    detector: record.detector,
    model_version: record.model_version,
    timestamp: record.timestamp,
    created_at: record.created_at,
    metadata: record.metadata,
    mapped_data: record.mapped_data,
    source: {
      seal: SEAL,
      encryption_key_id: record.encryption_key_id,
      sealed: record.source_data.toString('base64'),
    },
    provenance: {
      source_table: record.source_table,
      source_id: record.source_id,
      s3_key: record.s3_key,
      azure_region: record.azure_region,
      resource_group: record.resource_group,
      subscription_id: record.subscription_id,
      mapper: record.mapped_data['provenance'] ?? null,
    },
  });
  const bytes = Buffer.from(text, 'utf8');
  return { name: archiveName(record), bytes, sha256: createHash('sha256').update(bytes).digest() };
}
