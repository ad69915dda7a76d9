import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import type { Settings } from '../config/settings.ts';
import { DAY_MS } from '../time/clock.ts';
import { observed, openBlobService } from './blob-store.ts';

/** What spans and metrics call every container of an export. */
const EXPORTS = 'exports';

/** A key for links is valid for at most seven days, and links for much less. */
const KEY_VALID_MS = DAY_MS;

/** A file that is written in blocks, so that only a block of it is in memory. It does not exist before its commit. */
export interface FileWriter {
  add(bytes: Uint8Array): Promise<void>;
  commit(): Promise<void>;
}

/** A link to a container and its files. Whoever has it can read them until it expires: never stored, never logged. */
export interface ContainerLink {
  /** The container. With `&restype=container&comp=list` it lists its files. */
  readonly url: string;
  /** The link to a file of it. */
  fileUrl(name: string): string;
}

/** The containers of exports: one for each export. In Azure they are in an account of their own. Opens its client on first use. */
export class ExportStore {
  readonly #settings: Settings;
  #service: Promise<BlobServiceClient> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  #open(): Promise<BlobServiceClient> {
    const { EXPORT_BLOB_URL: own, BLOB_CONNECTION: connection, ...settings } = this.#settings;
    this.#service ??= openBlobService(
      own === undefined ? connection : undefined,
      own ?? settings.BLOB_CONNECTION__blobServiceUri,
    );
    return this.#service;
  }

  async #container(exportId: string): Promise<ContainerClient> {
    return (await this.#open()).getContainerClient(`export-${exportId}`);
  }

  /** Makes an export's container, unless it is there. */
  create(exportId: string): Promise<void> {
    return observed('create', EXPORTS, async () => {
      await (await this.#container(exportId)).createIfNotExists();
    });
  }

  /** Begins a file. Nothing is there if it is never committed. */
  async startFile(exportId: string, name: string, contentType: string): Promise<FileWriter> {
    const blob = (await this.#container(exportId)).getBlockBlobClient(name);
    const blocks: string[] = [];
    return {
      add: (bytes) =>
        observed('create', EXPORTS, async () => {
          const id = Buffer.from(String(blocks.length).padStart(6, '0')).toString('base64');
          await blob.stageBlock(id, bytes, bytes.length);
          blocks.push(id);
        }),
      commit: () =>
        observed('create', EXPORTS, async () => {
          await blob.commitBlockList(blocks, { blobHTTPHeaders: { blobContentType: contentType } });
        }),
    };
  }

  /** Writes a small file, over an earlier one. */
  async write(exportId: string, name: string, bytes: Uint8Array, contentType: string): Promise<void> {
    const blob = (await this.#container(exportId)).getBlockBlobClient(name);
    await observed('create', EXPORTS, () =>
      blob.uploadData(bytes, { blobHTTPHeaders: { blobContentType: contentType } }),
    );
  }

  /** The names of an export's files, in pages. */
  async *names(exportId: string): AsyncIterable<readonly string[]> {
    const container = await this.#container(exportId);
    for await (const page of container.listBlobsFlat().byPage())
      yield page.segment.blobItems.map((blob) => blob.name);
  }

  /** Deletes a file, if it is there. */
  async deleteFile(exportId: string, name: string): Promise<void> {
    const blob = (await this.#container(exportId)).getBlockBlobClient(name);
    await observed('delete', EXPORTS, () => blob.deleteIfExists());
  }

  /** Deletes an export's container with everything in it, if it is there. */
  async delete(exportId: string): Promise<void> {
    const container = await this.#container(exportId);
    await observed('delete', EXPORTS, () => container.deleteIfExists());
  }

  /** Makes a link that reads and lists an export's container until it expires. */
  async link(exportId: string, now: Date, expiresOn: Date): Promise<ContainerLink> {
    const { ContainerSASPermissions } = await import('@azure/storage-blob');
    const service = await this.#open();
    const container = await this.#container(exportId);
    const options = { permissions: ContainerSASPermissions.from({ read: true, list: true }), expiresOn };
    const hasKey =
      this.#settings.EXPORT_BLOB_URL === undefined && this.#settings.BLOB_CONNECTION !== undefined;
    const url = hasKey
      ? await container.generateSasUrl(options)
      : await container.generateUserDelegationSasUrl(
          options,
          // From a little earlier: the clocks of two machines differ.
          await service.getUserDelegationKey(
            new Date(now.getTime() - 5 * 60_000),
            new Date(now.getTime() + KEY_VALID_MS),
          ),
        );
    return {
      url,
      fileUrl: (name) => {
        const file = new URL(url);
        file.pathname += `/${name}`;
        return file.href;
      },
    };
  }
}
