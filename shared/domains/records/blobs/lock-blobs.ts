import { recordset } from '../../../platform/db/recordset.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { keyOf, type BookedBlob } from './due-blobs.ts';

const KEYS = recordset({ tenant_id: 'text', container_name: 'text', blob_name: 'text' });

/**
 * Locks rows of `ops.blobs` until the transaction ends and returns those that are not deleted. Code that deletes a blob from the
 * storage, or writes it again, must lock it first: else one process could write a blob that another has just deleted, and nothing
 * would ever delete that blob.
 */
export async function lockBooked(
  transaction: CrossTenantTransaction,
  blobs: readonly BookedBlob[],
): Promise<BookedBlob[]> {
  if (blobs.length === 0) return [];
  // In one order, so that two transactions do not deadlock.
  const keys = blobs
    .toSorted((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1))
    .map(({ tenantId, container, name }) => ({
      tenant_id: tenantId,
      container_name: container,
      blob_name: name,
    }));
  const rows = await transaction.query<{ key: string }>(
    `select b.key from ${KEYS.from('g', 1)}
      cross join lateral (
        select b.tenant_id || '/' || b.container_name || '/' || b.blob_name as key from ops.blobs b
         where b.tenant_id = g.tenant_id and b.container_name = g.container_name and b.blob_name = g.blob_name
           and num_nulls(b.deleted_at) = 1 offset 0 for update) b`,
    KEYS.parameters(keys),
    { prepare: false },
  );
  const booked = new Set(rows.map((row) => row.key));
  return blobs.filter((blob) => booked.has(keyOf(blob)));
}
