import { createHash } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import { CONTAINERS } from '../../shared/platform/blob/blob-store.ts';
import { inParallel } from '../../shared/platform/blob/in-parallel.ts';
import type { Disagreements } from './disagreements.ts';
import type { FaultStack } from './fault-stack.ts';

const DOWNLOADS_AT_ONCE = 16;

/** Blobs that are already compared. Blobs are never overwritten, so only new ones are compared. */
const compared = new WeakMap<FaultStack, Set<string>>();

/** Checks that each record is archived once, with the blob's SHA-256 in `ops.blobs`, and that each blob has a record. */
export async function checkBlobs(found: Disagreements, faults: FaultStack): Promise<void> {
  const { sql, stack } = faults;
  const records = await sql.core`
    select r.tenant_id, r.id, r.archived_at is not null as archived, encode(r.blob_sha256, 'hex') as sha256,
           r.blob_bytes::int, b.blob_name, encode(b.sha256, 'hex') as booked_sha256,
           'mappings/' || r.tenant_id || to_char(r.created_at, '/YYYY/MM/DD/') || r.id || '.json' as name
      from storage_records r
      left join ops.blobs b on b.tenant_id = r.tenant_id and b.blob_name like '%' || r.id || '.json'`;
  const metered = await sql.billing`
    select tenant_id, resource_id, count(*)::int as times from usage_records where usage_type = 'storage_gb' group by 1, 2`;
  const times = new Map(metered.map((row) => [`${row['tenant_id']} ${row['resource_id']}`, row['times']]));
  const container = BlobServiceClient.fromConnectionString(stack.blob).getContainerClient(CONTAINERS.records);
  const blobs = new Set<string>();
  for await (const { name } of container.listBlobsFlat()) blobs.add(name);
  const known = compared.get(faults) ?? new Set<string>();
  compared.set(faults, known);
  for (const {
    tenant_id: tenantId,
    id,
    archived,
    sha256,
    booked_sha256: booked,
    blob_name: bookedName,
    name,
  } of records) {
    found.check(archived, () => `record ${id} of ${tenantId} is not archived`);
    found.check(blobs.has(name), () => `there is no blob ${name}`);
    found.equal(`books of record ${id}`, { name: bookedName, sha256: booked }, { name, sha256 });
    found.equal(
      `record ${id} of ${tenantId}: times that its storage is metered`,
      times.get(`${tenantId} ${id}`) ?? 0,
      1,
    );
  }
  found.equal('blobs', blobs.size, records.length);
  found.equal('metered records', times.size, records.length);
  const fresh = records.filter(({ name }) => blobs.has(name) && !known.has(name));
  await inParallel(fresh, DOWNLOADS_AT_ONCE, async ({ name, sha256, blob_bytes: size }) => {
    const bytes = await container.getBlobClient(name).downloadToBuffer();
    const actual = { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length };
    found.equal(`blob ${name}`, actual, { sha256, bytes: size });
    known.add(name);
  });
}
