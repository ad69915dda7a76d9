import { createHash } from 'node:crypto';
import type { BlobStore } from '../../../platform/blob/blob-store.ts';

/**
 * The SHA-256 of a blob's bytes, in hex. Bytes in the Archive tier cannot be read: there it is the hash in the blob's metadata.
 * Undefined if there is no such blob.
 * @throws when the storage is unavailable.
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
