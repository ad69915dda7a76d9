import { createHash } from 'node:crypto';
import { canonicalJson } from '../../../platform/json/canonical-json.ts';

/** The layout of archived documents; a reader that meets another one knows it does not know it. */
const DOCUMENT_SCHEMA = 'com.comply-ai.record.v1';
/** What `source.sealed` is, for whoever opens it years from now: see the envelope in `crypto/sealing`. */
const SEAL = 'aes-256-gcm;envelope=1';

/** What of a record goes into its document: what never changes after it was recorded. */
export interface ArchivableRecord {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly id: string;
  readonly source_data: Buffer;
  readonly mapped_data: Readonly<Record<string, unknown>>;
  readonly model_version: string;
  readonly detector: string;
  /** RFC 3339 with microseconds, as `created_at`. */
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

/** A document ready to be written. */
export interface ArchiveDocument {
  readonly name: string;
  readonly bytes: Buffer;
  readonly sha256: Buffer;
}

/** Where a record's document lies, by which the database knows the record of a blob (`ops.blobs.record_id`): `mappings/{tenant}/{year}/{month}/{day}/{id}.json`, by the UTC day of its creation. */
export function archiveName(record: Pick<ArchivableRecord, 'tenant_id' | 'id' | 'created_at'>): string {
  const [year, month, day] = record.created_at.slice(0, 10).split('-');
  return `mappings/${record.tenant_id}/${year}/${month}/${day}/${record.id}.json`;
}

/**
 * The record as canonical JSON (RFC 8785): the same record gives the same bytes, whoever writes them and whenever. The
 * source stays sealed.
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
