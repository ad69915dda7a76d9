import { createHash } from 'node:crypto';
import type { BlobStore } from '../../../platform/blob/blob-store.ts';

/**
 * The SHA-256 of a blob as it lies there, in hex; of one in the Archive tier, whose bytes cannot be read, as it was written down
 * beside them. Undefined if there is no such blob.
 * @throws when the storage is away.
 */
export async function blobSha256(
  blobs: BlobStore,
  container: string,
  name: string,
): Promise<string | undefined> {
  const description = await blobs.describe(container, name);
  if (description === undefined) return undefined;
  if (description.archived) return description.metadata['sha256'] ?? '';
  const bytes = await blobs.read(container, name);
  return bytes === undefined ? undefined : createHash('sha256').update(bytes).digest('hex');
}
