import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  BlobServiceClient,
  generateAccountSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { describe, expect, it } from 'vitest';
import { BlobStore, CONTAINERS } from '../shared/platform/blob/blob-store.ts';
import { startTestApp } from './harness/app.ts';

const app = await startTestApp();

/** A connection with the rights that roles on containers give, and no right on the service or to make containers. */
function withRightsOnContainers(connection: string): string {
  const part = (name: string): string => new RegExp(`${name}=([^;]+)`).exec(connection)?.[1] ?? '';
  const sas = generateAccountSASQueryParameters(
    {
      expiresOn: new Date(Date.now() + 3_600_000),
      permissions: AccountSASPermissions.parse('rl'),
      resourceTypes: AccountSASResourceTypes.parse('co').toString(),
      services: AccountSASServices.parse('b').toString(),
    },
    new StorageSharedKeyCredential(part('AccountName'), part('AccountKey')),
  );
  return `BlobEndpoint=${part('BlobEndpoint')};SharedAccessSignature=${sas.toString()}`;
}

describe('with rights on containers only, as the template gives them', () => {
  const connection = app.services.settings.BLOB_CONNECTION ?? '';
  const limited = withRightsOnContainers(connection);
  const store = new BlobStore({ ...app.services.settings, BLOB_CONNECTION: limited });

  it('the probe of readiness finds the storage', async () => {
    await BlobServiceClient.fromConnectionString(connection)
      .getContainerClient(CONTAINERS.records)
      .createIfNotExists();
    await expect(BlobServiceClient.fromConnectionString(limited).getProperties()).rejects.toMatchObject({
      statusCode: 403,
    });
    await expect(store.ping()).resolves.toBeUndefined();
  });

  it('blobs of a container that exists are reached without making it', async () => {
    await app.services.blobs.create(CONTAINERS.records, 'rights/one.json', Buffer.from('{}'), {});
    expect((await store.read(CONTAINERS.records, 'rights/one.json'))?.toString()).toBe('{}');
    expect(await store.read(CONTAINERS.records, 'rights/none.json')).toBeUndefined();
  });

  it('a container that is missing is a failure, not an empty one', async () => {
    await expect(store.read(`none-${Date.now()}`, 'a')).rejects.toMatchObject({ statusCode: 403 });
  });
});
