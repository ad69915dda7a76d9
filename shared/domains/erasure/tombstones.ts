import { z } from 'zod';
import { CONTAINERS, type BlobStore } from '../../platform/blob/blob-store.ts';
import type { DataKeyFacts } from '../../platform/crypto/destroy-keys.ts';
import { uuid } from '../../platform/ids/uuid.ts';

// A restored database has a destroyed data key again. A blob that the restore leaves as it is tells that it must be destroyed again.

/** In the container of the audit trail's copies, which is immutable in Azure. */
const TOMBSTONES = 'erased-keys/';

const tombstone = z.object({
  schema: z.literal('com.comply-ai.erased-key.v1'),
  tenant_id: z.string(),
  key_id: uuid,
  erasure_id: uuid,
  versions: z.array(z.string()),
  destroyed_at: z.iso.datetime(),
});
/** What says that a data key was destroyed. */
export type Tombstone = z.output<typeof tombstone>;

const folderOf = (tenantId: string): string => `${TOMBSTONES}${tenantId}/`;

/** Whether a blob is a tombstone. They stay. */
export function isTombstone(container: string, blobName: string): boolean {
  return container === CONTAINERS.auditLogs && blobName.startsWith(TOMBSTONES);
}

/** Writes the tombstone of a data key, once. */
export async function writeTombstone(
  blobs: BlobStore,
  key: DataKeyFacts,
  erasureId: string,
  now: Date,
): Promise<void> {
  const facts: Tombstone = {
    schema: 'com.comply-ai.erased-key.v1',
    tenant_id: key.tenant_id,
    key_id: key.key_id,
    erasure_id: erasureId,
    versions: [...key.versions],
    destroyed_at: now.toISOString(),
  };
  await blobs.create(
    CONTAINERS.auditLogs,
    `${folderOf(key.tenant_id)}${key.key_id}.json`,
    Buffer.from(JSON.stringify(facts), 'utf8'),
    { tenant_id: key.tenant_id },
  );
}

/** The tenants whose data keys were destroyed. */
export async function tenantsWithTombstones(blobs: BlobStore): Promise<string[]> {
  const tenants: string[] = [];
  for await (const tenant of blobs.folders(CONTAINERS.auditLogs, TOMBSTONES)) tenants.push(tenant);
  return tenants;
}

/** A tenant's tombstones. @throws Error if one cannot be read: nobody may take a key for living because of that. */
export async function readTombstones(blobs: BlobStore, tenantId: string): Promise<Tombstone[]> {
  const found: Tombstone[] = [];
  for await (const names of blobs.list(CONTAINERS.auditLogs, folderOf(tenantId)))
    for (const name of names) {
      const bytes = await blobs.read(CONTAINERS.auditLogs, name);
      const parsed = tombstone.safeParse(
        bytes === undefined ? undefined : JSON.parse(bytes.toString('utf8')),
      );
      if (!parsed.success || parsed.data.tenant_id !== tenantId)
        throw new Error(`${name} is no tombstone of a data key`);
      found.push(parsed.data);
    }
  return found;
}
