import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import type { Settings } from '../config/settings.ts';
import { count } from '../telemetry/metrics.ts';
import { inChildSpan } from '../telemetry/tracing.ts';

/** The containers, one for each path family of the reference's storage layout. `bicep/modules/storage.bicep` has the same. */
export const CONTAINERS = {
  records: 'mapper-outputs',
  /** Copies of entries of the audit trail, see `domains/audit/act-journal.ts`. */
  auditLogs: 'audit-logs',
  models: 'models',
  backups: 'backups',
  trainingData: 'training-data',
} as const;

/** Access tiers, from hot to cold. */
export type AccessTier = 'Hot' | 'Cool' | 'Cold' | 'Archive';

/** The outcome of a deletion. */
export type DeleteOutcome = 'deleted' | 'absent' | 'immutable';

/** The outcome of a move to another tier. */
export type TierOutcome = 'moved' | 'absent' | 'refused';

/** A blob's properties, without its bytes. */
export interface BlobDescription {
  /** True in the Archive tier, where its bytes cannot be read. */
  readonly archived: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

function statusOf(error: unknown): number | undefined {
  const status: unknown =
    typeof error === 'object' && error !== null ? Reflect.get(error, 'statusCode') : undefined;
  return typeof status === 'number' ? status : undefined;
}

type Operation = 'create' | 'read' | 'describe' | 'set_tier' | 'delete';

/** Runs an operation in its span, and counts it. Neither names the blob, whose path has the tenant's id. */
export function observed<T>(operation: Operation, container: string, run: () => Promise<T>): Promise<T> {
  const attributes = { 'comply.blob.container': container };
  return inChildSpan(`blob ${operation}`, { kind: 'client', attributes }, async () => {
    try {
      const result = await run();
      count('blob_storage_operations_total', { operation, outcome: 'success' });
      return result;
    } catch (error) {
      count('blob_storage_operations_total', { operation, outcome: 'failure' });
      throw error;
    }
  });
}

/** Opens the client of an account: that of a connection string, or the one at an address, with the app's identity. */
export async function openBlobService(
  connection: string | undefined,
  address: string | undefined,
): Promise<BlobServiceClient> {
  const { BlobServiceClient: Client } = await import('@azure/storage-blob');
  const options = { retryOptions: { maxTries: 2, tryTimeoutInMs: 10_000, retryDelayInMs: 200 } };
  if (connection !== undefined) return Client.fromConnectionString(connection, options);
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new Client(address ?? '', new DefaultAzureCredential(), options);
}

/** Azure Blob Storage. Opens its client on first use. */
export class BlobStore {
  readonly #settings: Settings;
  #service: Promise<BlobServiceClient> | undefined;
  readonly #containers = new Map<string, Promise<ContainerClient>>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** The service client, for tools and tests. In Azure the app has rights on the containers only, not on the service. */
  service(): Promise<BlobServiceClient> {
    this.#service ??= openBlobService(
      this.#settings.BLOB_CONNECTION,
      this.#settings.BLOB_CONNECTION__blobServiceUri,
    );
    return this.#service;
  }

  async #container(name: string): Promise<ContainerClient> {
    let container = this.#containers.get(name);
    if (container === undefined) {
      container = this.service().then(async (service) => {
        const client = service.getContainerClient(name);
        // In Azure the containers are there, and the app's identity needs no right to make one.
        if (!(await client.exists())) await client.createIfNotExists();
        return client;
      });
      // A failure is not kept, so that the next use tries again.
      container.catch(() => this.#containers.delete(name));
      this.#containers.set(name, container);
    }
    return container;
  }

  /** Asks for the properties of a container: what a role on that container allows. @throws when the storage does not answer. */
  async ping(): Promise<void> {
    await (await this.#container(CONTAINERS.records)).getProperties();
  }

  /** Writes a new blob, and never overwrites. Returns its URL and whether it was written: `false` if it existed already. */
  create(
    containerName: string,
    blobName: string,
    content: Uint8Array,
    metadata: Readonly<Record<string, string>>,
    contentType = 'application/json',
  ): Promise<{ written: boolean; url: string }> {
    return observed('create', containerName, async () => {
      const blob = (await this.#container(containerName)).getBlockBlobClient(blobName);
      try {
        await blob.uploadData(content, {
          conditions: { ifNoneMatch: '*' },
          metadata,
          blobHTTPHeaders: { blobContentType: contentType },
        });
        return { written: true, url: blob.url };
      } catch (error) {
        // 409: BlobAlreadyExists. 412: a concurrent writer was first.
        if (statusOf(error) === 409 || statusOf(error) === 412) return { written: false, url: blob.url };
        throw error;
      }
    });
  }

  /** A blob's bytes; undefined if there is none. @throws for a blob in the Archive tier, which cannot be read. */
  read(containerName: string, blobName: string): Promise<Buffer | undefined> {
    return observed('read', containerName, async () => {
      const blob = (await this.#container(containerName)).getBlockBlobClient(blobName);
      try {
        return await blob.downloadToBuffer();
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  }

  /** A blob's properties, in any tier; undefined if there is none. */
  describe(containerName: string, blobName: string): Promise<BlobDescription | undefined> {
    return observed('describe', containerName, async () => {
      const blob = (await this.#container(containerName)).getBlockBlobClient(blobName);
      try {
        const { accessTier, metadata } = await blob.getProperties();
        return { archived: accessTier === 'Archive', metadata: metadata ?? {} };
      } catch (error) {
        if (statusOf(error) === 404) return undefined;
        throw error;
      }
    });
  }

  /** The names of the blobs that begin with a prefix, in pages. */
  async *list(containerName: string, prefix: string): AsyncIterable<readonly string[]> {
    const container = await this.#container(containerName);
    for await (const page of container.listBlobsFlat({ prefix }).byPage())
      yield page.segment.blobItems.map((blob) => blob.name);
  }

  /** Like {@link list}, with the time when each blob was written. */
  async *listWritten(
    containerName: string,
    prefix: string,
  ): AsyncIterable<readonly { readonly name: string; readonly writtenAt: Date }[]> {
    const container = await this.#container(containerName);
    for await (const page of container.listBlobsFlat({ prefix }).byPage())
      yield page.segment.blobItems.map(({ name, properties }) => ({
        name,
        writtenAt: properties.createdOn ?? properties.lastModified,
      }));
  }

  /** The folders directly under a prefix that ends in `/`, or in the whole container, by their names alone. */
  async *folders(containerName: string, prefix: string): AsyncIterable<string> {
    const container = await this.#container(containerName);
    for await (const item of container.listBlobsByHierarchy('/', { prefix }))
      if (item.kind === 'prefix') yield item.name.slice(prefix.length, -1);
  }

  /** Moves a blob to a tier. @throws when the service is unavailable or asks to retry later. */
  setTier(containerName: string, blobName: string, tier: AccessTier): Promise<TierOutcome> {
    return observed('set_tier', containerName, async () => {
      const blob = (await this.#container(containerName)).getBlockBlobClient(blobName);
      try {
        await blob.setAccessTier(tier);
        return 'moved';
      } catch (error) {
        const status = statusOf(error);
        if (status === 404) return 'absent';
        // The account has no such tier (400), or the blob is being rehydrated (409) or is leased (412). A retry would not
        // help.
        if (status === 400 || status === 409 || status === 412) return 'refused';
        throw error;
      }
    });
  }

  /** Deletes a blob. An immutable blob (409) or a leased one (412) is `immutable`: a later try may delete it. */
  delete(containerName: string, blobName: string): Promise<DeleteOutcome> {
    return observed('delete', containerName, async () => {
      const blob = (await this.#container(containerName)).getBlockBlobClient(blobName);
      try {
        await blob.delete();
        return 'deleted';
      } catch (error) {
        if (statusOf(error) === 404) return 'absent';
        if (statusOf(error) === 409 || statusOf(error) === 412) return 'immutable';
        throw error;
      }
    });
  }
}
