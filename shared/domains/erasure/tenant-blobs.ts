import { CONTAINERS } from '../../platform/blob/blob-store.ts';
import type { JobServices } from '../../platform/jobs/job.ts';
import { deleteAfter, type RetentionClass } from '../retention/tiers.ts';
import { findTenantIds } from '../tenancy/erase-tenant.ts';
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

/** Folders at the top of a container that have one folder for each tenant. A tenant may have the same name. */
const SHARED_FOLDERS: Readonly<Record<string, readonly string[]>> = {
  [CONTAINERS.records]: ['mappings'],
  [CONTAINERS.auditLogs]: ['audit', 'erased-keys', 'erased-people'],
};

/**
 * A tenant's blobs, in pages: those below a folder of its name, at the top of a container or one level below. What is in another tenant's
 * folder is that tenant's, whatever it is called. Tombstones of its data keys are left out.
 */
export async function* listTenantBlobs(
  { blobs, crossTenant }: Pick<JobServices, 'blobs' | 'crossTenant'>,
  tenantId: string,
): AsyncGenerator<readonly TenantBlob[]> {
  for (const container of Object.values(CONTAINERS)) {
    const shared = SHARED_FOLDERS[container] ?? [];
    const folders: string[] = [];
    for await (const folder of blobs.folders(container, '')) folders.push(folder);
    const ofTenants = await findTenantIds(crossTenant.core, folders);
    const prefixes = folders
      .filter((folder) => shared.includes(folder) || !ofTenants.has(folder))
      .map((folder) => `${folder}/${tenantId}/`);
    if (!shared.includes(tenantId)) prefixes.push(`${tenantId}/`);
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
