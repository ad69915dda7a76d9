import type { TenantDirectory } from '../auth/tenant-context.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { BusSender } from '../bus/bus-sender.ts';
import type { OutboxEntry } from '../bus/events.ts';
import type { Cache } from '../cache/cache.ts';
import type { Settings } from '../config/settings.ts';
import type { DataKeys } from '../crypto/data-keys.ts';
import type { CrossTenantDatabase, TenantDatabase } from '../db/tenant-database.ts';
import type { Clock } from '../time/clock.ts';
import type { Quota } from './quota.ts';

/** The three databases across tenants: for timers, queue consumers and operators' routes. */
export interface CrossTenantDatabases {
  readonly core: CrossTenantDatabase;
  readonly billing: CrossTenantDatabase;
  readonly analytics: CrossTenantDatabase;
}

/** The three databases as one tenant sees them. */
export interface TenantDatabases {
  readonly core: TenantDatabase;
  readonly billing: TenantDatabase;
  readonly analytics: TenantDatabase;
}

/** Publishes what a committed write causes. */
export interface OutboxPublisher {
  /** Takes an entry whose row is committed. Returns at once, never throws: what is not sent now, the relay timer sends. */
  publish(entry: OutboxEntry): void;
}

/** What a domain may use beside the tenant's databases. Each part is as narrow as its users allow. */
export interface CallServices {
  readonly settings: Settings;
  readonly clock: Clock;
  /** Crossing tenants needs a written reason where it is done. */
  readonly crossTenant: CrossTenantDatabases;
  readonly cache: Pick<Cache, 'configured' | 'read' | 'write' | 'keep' | 'drop'>;
  readonly dataKeys: Pick<DataKeys, 'find' | 'create'>;
  readonly tenants: TenantDirectory;
  /** API keys that this process remembers. */
  readonly credentials: { forget(keyId: string): void };
  readonly publisher: OutboxPublisher;
  readonly quota: Quota;
  readonly bus: Pick<BusSender, 'publish' | 'send'>;
  readonly blobs: BlobStore;
}
