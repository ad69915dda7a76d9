import { Authenticator } from '../domains/identity/authenticate.ts';
import { BlobStore } from './blob/blob-store.ts';
import { BusSender, Publisher } from './bus/publisher.ts';
import { Cache } from './cache/cache.ts';
import { RateLimiter } from './cache/rate-limit.ts';
import { readSettings, type Settings } from './config/settings.ts';
import { DataKeys } from './crypto/data-keys.ts';
import { openKeyEncryptionKeys } from './crypto/key-encryption-keys.ts';
import { openDatabases, type Databases } from './db/databases.ts';
import { entraPassword } from './db/entra-password.ts';
import { JobsDatabase, TenantDatabase } from './db/tenant-database.ts';
import { TenantContexts } from '../domains/tenancy/tenant-context.ts';
import { systemClock, type Clock } from './time/clock.ts';

/** The databases as the jobs role sees them: across tenants. */
export interface JobsDatabases {
  readonly core: JobsDatabase;
  readonly billing: JobsDatabase;
  readonly analytics: JobsDatabase;
}

/** The databases as one tenant sees them. */
export interface TenantDatabases {
  readonly core: TenantDatabase;
  readonly billing: TenantDatabase;
  readonly analytics: TenantDatabase;
}

/** The handful of clients that the app is made of. Opened once a process; nothing connects before it is used. */
export interface Services {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly jobs: JobsDatabases;
  readonly cache: Cache;
  readonly rateLimiter: RateLimiter;
  readonly dataKeys: DataKeys;
  readonly tenants: TenantContexts;
  readonly authenticator: Authenticator;
  readonly bus: BusSender;
  readonly publisher: Publisher;
  readonly blobs: BlobStore;
  /** The databases bound to a tenant. */
  forTenant(tenantId: string): TenantDatabases;
  /** Publishes what waits and ends every connection. */
  close(): Promise<void>;
}

/** Opens the services of some settings. Tests pass their own settings and clock. */
export function openServices(settings: Settings, clock: Clock = systemClock): Services {
  const databases: Databases = openDatabases(
    settings,
    settings.DATABASE_AUTH === 'entra' ? entraPassword : undefined,
  );
  const jobs: JobsDatabases = {
    core: new JobsDatabase(databases.core.jobs),
    billing: new JobsDatabase(databases.billing.jobs),
    analytics: new JobsDatabase(databases.analytics.jobs),
  };
  const cache = new Cache(settings.REDIS_URL, settings.REDIS_KEY_PREFIX);
  const bus = new BusSender(settings);
  const publisher = new Publisher(bus, jobs.core, cache);
  return {
    settings,
    clock,
    jobs,
    cache,
    rateLimiter: new RateLimiter(cache),
    dataKeys: new DataKeys(jobs.core, openKeyEncryptionKeys(settings)),
    tenants: new TenantContexts(jobs.core, cache),
    authenticator: new Authenticator(jobs.core, settings),
    bus,
    publisher,
    blobs: new BlobStore(settings),
    forTenant: (tenantId) => ({
      core: new TenantDatabase(tenantId, databases.core.app),
      billing: new TenantDatabase(tenantId, databases.billing.app),
      analytics: new TenantDatabase(tenantId, databases.analytics.app),
    }),
    async close() {
      await publisher.drain();
      await Promise.all([bus.reset(), cache.close()]);
      await databases.close();
    },
  };
}

let opened: Services | undefined;

/** The process's services, opened from the environment on first use. */
export function services(): Services {
  opened ??= openServices(readSettings());
  return opened;
}
