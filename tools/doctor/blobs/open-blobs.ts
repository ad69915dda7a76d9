import type { BlobServiceClient } from '@azure/storage-blob';
import type { Patient } from '../patient.ts';

/** The app's own client of the storage account. @throws NotChecked without its setting. */
export function openBlobs(patient: Patient): Promise<BlobServiceClient> {
  patient.needOne('BLOB_CONNECTION__blobServiceUri', 'BLOB_CONNECTION');
  return patient.services.blobs.service();
}

/** The status of a failed request; undefined if there was no answer. */
export function statusOf(error: unknown): number | undefined {
  const status: unknown =
    typeof error === 'object' && error !== null ? Reflect.get(error, 'statusCode') : undefined;
  return typeof status === 'number' ? status : undefined;
}
