import { freeTierQuota } from '../shared/domains/billing/metering/quota-reservation.ts';
import { CredentialAuthenticator } from '../shared/domains/identity/credential-authenticator.ts';
import { retentionDays } from '../shared/domains/retention/retention-days.ts';
import { CachedTenantDirectory } from '../shared/domains/tenancy/tenant-directory.ts';
import { BlobStore } from '../shared/platform/blob/blob-store.ts';
import { ExportStore } from '../shared/platform/blob/export-store.ts';
import { BusSender } from '../shared/platform/bus/bus-sender.ts';
import { AddressLimiter } from '../shared/platform/http/address-limit.ts';
import { Cache } from '../shared/platform/cache/cache.ts';
import { RateLimiter } from '../shared/platform/cache/rate-limit.ts';
import { beginAhead } from '../shared/platform/call/begin-ahead.ts';
import type { CrossTenantDatabases } from '../shared/platform/call/call.ts';
import { readSettings, type Settings } from '../shared/platform/config/settings.ts';
import { DataKeys } from '../shared/platform/crypto/data-keys.ts';
import { openKeyEncryptionKeys } from '../shared/platform/crypto/key-encryption-keys.ts';
import { openDatabases } from '../shared/platform/db/databases.ts';
import { CrossTenantDatabase, TenantDatabase } from '../shared/platform/db/tenant-database.ts';
import { entraCredential } from '../shared/platform/entra/credential.ts';
import type { AnswerServices } from '../shared/platform/http/answer.ts';
import { addGaugeSource } from '../shared/platform/telemetry/metrics.ts';
import { systemClock, type Clock } from '../shared/platform/time/clock.ts';
import { Publisher } from '../shared/platform/writes/outbox-publisher.ts';

/** The clients of the app. A process opens them once, and nothing connects before it is used. */
export interface Services extends AnswerServices {
  readonly cache: Cache;
  readonly dataKeys: DataKeys;
  readonly bus: BusSender;
  /** Limits who has no credential yet. */
  readonly addressLimiter: AddressLimiter;
  readonly publisher: Publisher;
  /**
   * Begins to connect to what every request needs, all at once: one after the other, the first request would wait for each.
   * A failure shows at the first use.
   */
  connectAhead(): void;
  /** Publishes what still waits, and closes every connection. */
  close(): Promise<void>;
}

/** Opens the services of some settings. Tests pass their own settings and clock. */
export function openServices(settings: Settings, clock: Clock = systemClock): Services {
  const databases = openDatabases(settings);
  const crossTenant: CrossTenantDatabases = {
    core: new CrossTenantDatabase(databases.core.crossTenant),
    billing: new CrossTenantDatabase(databases.billing.crossTenant),
    analytics: new CrossTenantDatabase(databases.analytics.crossTenant),
  };
  const cache = new Cache(settings.REDIS_URL, settings.REDIS_KEY_PREFIX, {
    extraCa: settings.EXTRA_CA_CERTS,
    ...(settings.REDIS_AUTH === 'entra' ? { credential: () => entraCredential() } : {}),
  });
  const forget = addGaugeSource(() => [
    { name: 'redis_breaker_open', attributes: {}, value: cache.open ? 1 : 0 },
  ]);
  const bus = new BusSender(settings);
  const publisher = new Publisher(bus, crossTenant, cache);
  const tenants = new CachedTenantDirectory(crossTenant.core, retentionDays);
  const authenticator = new CredentialAuthenticator({ settings, crossTenant, cache, tenants, publisher });
  return {
    settings,
    clock,
    crossTenant,
    cache,
    rateLimiter: new RateLimiter(cache),
    addressLimiter: new AddressLimiter(cache),
    dataKeys: new DataKeys(crossTenant.core, openKeyEncryptionKeys(settings)),
    tenants,
    authenticator,
    credentials: authenticator,
    quota: freeTierQuota,
    bus,
    publisher,
    blobs: new BlobStore(settings),
    exports: new ExportStore(settings),
    forTenant: (tenantId) => ({
      core: new TenantDatabase(tenantId, databases.core.app),
      billing: new TenantDatabase(tenantId, databases.billing.app),
      analytics: new TenantDatabase(tenantId, databases.analytics.app),
    }),
    connectAhead() {
      beginAhead(() => cache.client());
      for (const pool of [databases.core.crossTenant, databases.core.app])
        beginAhead(() => pool.run((connection) => connection.unsafe('select 1'), { short: true }));
    },
    async close() {
      forget();
      await publisher.drain();
      await Promise.all([bus.reset(), cache.close()]);
      await databases.close();
    },
  };
}

let opened: Services | undefined;

/** The process's services, opened from the environment on first use. */
export function processServices(): Services {
  if (opened === undefined) {
    opened = openServices(readSettings());
    opened.connectAhead();
  }
  return opened;
}
