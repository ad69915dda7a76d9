import type { BlobStore } from '../../shared/platform/blob/blob-store.ts';
import type { Services } from '../../functions/services.ts';
import type {
  CrossTenantDatabase,
  CrossTenantTransaction,
} from '../../shared/platform/db/tenant-database.ts';

/** The process is dead: nothing that it starts from now on happens. */
export class Killed extends Error {
  override name = 'Killed';
}

/** When services die: after some operations, before or after the last one took effect. */
export interface Fuse {
  left: number;
  readonly before: boolean;
  /** Called before each operation, with a statement's text where it is one. */
  readonly onStep?: (text: string) => Promise<void> | void;
}

/**
 * The services of a process that dies at one of its statements or calls of the storage. A transaction in which it dies is rolled back;
 * one that it dies after is committed, and nobody hears of it.
 */
export function mortalServices(services: Services, fuse: Fuse): Services {
  const step = async <T>(run: () => Promise<T>, text = ''): Promise<T> => {
    if (fuse.left <= 0) throw new Killed();
    await fuse.onStep?.(text);
    fuse.left -= 1;
    if (fuse.left === 0 && fuse.before) throw new Killed();
    const result = await run();
    if (fuse.left <= 0) throw new Killed();
    return result;
  };
  const query =
    (target: Pick<CrossTenantDatabase, 'query'>): CrossTenantDatabase['query'] =>
    (text, ...rest) =>
      step(() => target.query(text, ...rest), text);
  const mortal = (database: CrossTenantDatabase): CrossTenantDatabase =>
    ({
      query: query(database),
      transaction: <T>(run: (transaction: CrossTenantTransaction) => Promise<T>) =>
        step(() =>
          database.transaction((transaction) =>
            run({ query: query(transaction) } as unknown as CrossTenantTransaction),
          ),
        ),
    }) as unknown as CrossTenantDatabase;
  const { core, billing, analytics } = services.crossTenant;
  const { blobs } = services;
  const mortalBlobs = Object.create(blobs, {
    create: { value: (...given: Parameters<BlobStore['create']>) => step(() => blobs.create(...given)) },
    delete: { value: (...given: Parameters<BlobStore['delete']>) => step(() => blobs.delete(...given)) },
    folders: { value: blobs.folders.bind(blobs) },
    listWritten: { value: blobs.listWritten.bind(blobs) },
  }) as BlobStore;
  return {
    ...services,
    crossTenant: { core: mortal(core), billing: mortal(billing), analytics: mortal(analytics) },
    blobs: mortalBlobs,
  };
}
