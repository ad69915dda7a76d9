import { CONTAINERS, type BlobStore } from '../../platform/blob/blob-store.ts';
import { deleteAfter, type RetentionClass } from '../retention/tiers.ts';
import { isTombstone } from './tombstones.ts';

/** A blob of a tenant, and when it may be deleted. */
export interface TenantBlob {
  readonly container: string;
  readonly name: string;
  readonly mayGoAt: Date;
}

/** The classes of the containers that are immutable in Azure. Their policy lasts as long as the class's retention. */
const IMMUTABLE: Readonly<Record<string, RetentionClass>> = {
  [CONTAINERS.records]: 'mapping_results',
  [CONTAINERS.auditLogs]: 'audit_logs',
};

/**
 * A tenant's blobs, in pages: those below a folder of its name, at the top of a container or one level below. Tombstones of its data
 * keys are left out.
 */
export async function* listTenantBlobs(
  blobs: BlobStore,
  tenantId: string,
): AsyncGenerator<readonly TenantBlob[]> {
  for (const container of Object.values(CONTAINERS)) {
    const prefixes = [`${tenantId}/`];
    for await (const folder of blobs.folders(container, ''))
      if (folder !== tenantId) prefixes.push(`${folder}/${tenantId}/`);
    for (const prefix of prefixes)
      for await (const page of blobs.listWritten(container, prefix)) {
        const found = page.filter(({ name }) => !isTombstone(container, name));
        const of = IMMUTABLE[container];
        if (found.length > 0)
          yield found.map(({ name, writtenAt }) => ({
            container,
            name,
            mayGoAt: of === undefined ? writtenAt : deleteAfter(of, writtenAt),
          }));
      }
  }
}
