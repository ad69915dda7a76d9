import { z } from 'zod';
import type { BlobStore } from '../../platform/blob/blob-store.ts';
import type { ExportStore } from '../../platform/blob/export-store.ts';
import { inParallel } from '../../platform/blob/in-parallel.ts';
import type { CrossTenantDatabases } from '../../platform/call/call.ts';
import type { DataKeys } from '../../platform/crypto/data-keys.ts';
import { inBatch } from '../../platform/db/batch-transaction.ts';
import { openSealed, type ExportPage } from '../../platform/tenant-data/read-rows.ts';
import { createHash } from 'node:crypto';

/** Blobs of a page. They are copied a few at a time, and a blob is in memory while it is copied. */
const PAGE_BLOBS = 100;
const COPIES_AT_ONCE = 4;

interface Services {
  readonly crossTenant: CrossTenantDatabases;
  readonly dataKeys: Pick<DataKeys, 'find'>;
  readonly blobs: Pick<BlobStore, 'read' | 'describe'>;
  readonly exports: Pick<ExportStore, 'write'>;
}

interface Blob {
  readonly [column: string]: unknown;
  readonly container_name: string;
  readonly blob_name: string;
}

/** The part of an archived document that is needed to open its source. */
const archived = z.object({
  source: z.object({ encryption_key_id: z.string(), sealed: z.string() }),
  provenance: z.object({ source_id: z.string() }),
});

/**
 * Copies a page of a tenant's blobs into its export, as `copies/{container}/{name}`. Each has a line that says so, with the copy's hash and
 * its source in clear: a record may be gone while its blob stays. A blob in the Archive tier cannot be read, and is only named.
 */
export async function exportBlobs(
  services: Services,
  tenantId: string,
  exportId: string,
  after: readonly string[] | undefined,
): Promise<ExportPage> {
  const [container = '', name = ''] = after ?? [];
  const blobs = await inBatch(services.crossTenant.core, (transaction) =>
    transaction.query<Blob>(
      `select container_name, blob_name from ops.blobs
        where tenant_id = $1 and (container_name, blob_name) > ($2, $3) and deleted_at is null
        order by container_name, blob_name limit ${PAGE_BLOBS}`,
      [tenantId, container, name],
    ),
  );
  const lines = await inParallel(blobs, COPIES_AT_ONCE, (blob) => copy(services, tenantId, exportId, blob));
  const last = blobs.at(-1);
  return {
    lines: lines.map((line) => JSON.stringify(line)),
    next: blobs.length < PAGE_BLOBS || last === undefined ? undefined : [last.container_name, last.blob_name],
    unreadable: lines.filter(({ file, source_data: source }) => file === null || source === null).length,
  };
}

async function copy(services: Services, tenantId: string, exportId: string, blob: Blob) {
  const { container_name: container, blob_name: name } = blob;
  const missing = (why: string) => ({ container, name, file: null, why, source_data: undefined });
  const found = await services.blobs.describe(container, name);
  if (found === undefined) return missing('It is not in the storage.');
  if (found.archived)
    return missing('It is in the Archive tier. Ask for it to be rehydrated, then export again.');
  const bytes = await services.blobs.read(container, name);
  if (bytes === undefined) return missing('It is not in the storage.');
  const file = `copies/${container}/${name}`;
  await services.exports.write(exportId, file, bytes, 'application/json');
  return {
    container,
    name,
    file,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    source_data: await sourceIn(services.dataKeys, tenantId, bytes, file),
  };
}

/** The source of an archived record, in clear; undefined for another blob. */
async function sourceIn(
  dataKeys: Pick<DataKeys, 'find'>,
  tenantId: string,
  bytes: Buffer,
  file: string,
): Promise<string | null | undefined> {
  const { data } = archived.safeParse(jsonIn(bytes));
  if (data === undefined) return undefined;
  const { encryption_key_id: keyId, sealed } = data.source;
  const boundTo = data.provenance.source_id;
  return openSealed(dataKeys, tenantId, { keyId, boundTo, bytes: Buffer.from(sealed, 'base64') }, { file });
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
