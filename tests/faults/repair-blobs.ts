import { BlobServiceClient } from '@azure/storage-blob';
import { CONTAINERS } from '../../shared/platform/blob/blob-store.ts';
import { runJob, type FaultStack } from './fault-stack.ts';
import type { Ledger } from './ledger.ts';

/** The timer skips younger blobs. */
const SETTLED_AHEAD_MS = 11 * 60_000;

/** Blobs that are in `ops.blobs` but not in the storage, as `tenant container/name`. */
async function findLost({ sql, stack }: FaultStack): Promise<string[]> {
  const container = BlobServiceClient.fromConnectionString(stack.blob).getContainerClient(CONTAINERS.records);
  const there = new Set<string>();
  for await (const { name } of container.listBlobsFlat()) there.add(name);
  const booked =
    await sql.core`select tenant_id, container_name, blob_name from ops.blobs where deleted_at is null`;
  return booked
    .filter((row) => !there.has(String(row['blob_name'])))
    .map((row) => `${row['tenant_id']} ${row['container_name']}/${row['blob_name']}`);
}

/**
 * Runs the timer that writes lost blobs again, and adds those blobs to the ledger.
 * @throws if no blob was lost, since the scenario would then test nothing, or if a blob was not written again.
 */
export async function repairBlobs(faults: FaultStack, ledger: Ledger): Promise<void> {
  const lost = await findLost(faults);
  if (lost.length === 0) throw new Error('the blob storage forgot nothing');
  ledger.restoredBlobs.push(...lost);
  let restored = 0;
  for (let status: unknown; status !== 'completed';) {
    const run = await runJob(faults, 'blobs-verify', new Date(Date.now() + SETTLED_AHEAD_MS));
    status = run['status'];
    restored += (run['details'] as Record<string, number>)['restored'] ?? 0;
  }
  const still = await findLost(faults);
  if (restored !== lost.length || still.length > 0)
    throw new Error(`of ${lost.length} lost blobs ${restored} were restored; not there: ${still.join(', ')}`);
}
