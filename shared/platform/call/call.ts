import type { BlobStore } from '../blob/blob-store.ts';
import type { ExportStore } from '../blob/export-store.ts';
import type { BusSender } from '../bus/bus-sender.ts';
import type { Cache } from '../cache/cache.ts';
import type { Clock } from '../time/clock.ts';
import type { CrossTenantDatabase, TenantDatabase } from '../db/tenant-database.ts';
import type { DataKeys } from '../crypto/data-keys.ts';
import type { CloudEvent } from '../bus/events.ts';
import type { Principal } from '../auth/principal.ts';
import type { Problem } from './problem.ts';
import type { Settings } from '../config/settings.ts';
import type { TenantContext, TenantDirectory } from '../auth/tenant-context.ts';

/** Makes a write repeatable. */
export interface IdempotencyClaim {
  readonly key: string;
  /** SHA-256 of the request's content. */
  readonly fingerprint: Buffer;
}

/** The origin of a request, for the audit trail. */
export interface Origin {
  readonly traceId: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/** One authenticated request, with everything that a domain function may use for it. */
export interface Call {
  readonly services: CallServices;
  readonly principal: Principal;
  /**
   * The core database, as one tenant sees it: the principal's tenant; on an operator's route for a named tenant, that
   * tenant.
   */
  readonly tenant: TenantDatabase;
  /** All three databases, as the same tenant sees them. */
  readonly databases: TenantDatabases;
  /** The context of the principal's own tenant. */
  readonly context: TenantContext;
  readonly now: Date;
  /** The endpoint's name: the scope of idempotency keys. */
  readonly route: string;
  /** The parsed parameters of its path. A list's cursor is valid only under the same parent. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly idempotency: IdempotencyClaim | null;
  readonly origin: Origin;
}

/** The three databases across tenants, for timers, queue consumers and operators' routes. */
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

/** One of the three databases, by name. */
export type DatabaseName = keyof TenantDatabases;

/** A row of an outbox: the events of one write. `newEntry` makes it, and checks its events' tenant. */
export interface OutboxEntry {
  readonly id: string;
  /** The database of the write. Its outbox contains the row. */
  readonly database: DatabaseName;
  readonly tenantId: string;
  readonly events: readonly CloudEvent[];
}

/** Publishes the events of a committed write. */
export interface OutboxPublisher {
  /** Takes an entry whose row is committed. Returns at once and never throws: the relay timer sends what is not sent now. */
  publish(entry: OutboxEntry): void;
}

/** What a process remembers of credentials. Call it after a change is committed. */
export interface CredentialMemory {
  /** An API key was changed. */
  forget(keyId: string): void;
  /** A person's sessions, roles or standing were changed. With Redis, other processes learn it within a second or two. */
  forgetPerson(userId: string): void;
}

/** What a domain may use besides the tenant's databases. Each part is as narrow as its users allow. */
export interface CallServices {
  readonly settings: Settings;
  readonly clock: Clock;
  /** The databases without row security: for jobs, consumers and platform data. The linter forbids them in `functions/`. */
  readonly crossTenant: CrossTenantDatabases;
  readonly cache: Pick<Cache, 'configured' | 'read' | 'write' | 'keep' | 'drop' | 'scan'>;
  readonly dataKeys: Pick<DataKeys, 'find' | 'create' | 'countOutdated' | 'wrapping' | 'forget'>;
  readonly tenants: TenantDirectory;
  /** What this process remembers of credentials. */
  readonly credentials: CredentialMemory;
  readonly publisher: OutboxPublisher;
  readonly quota: Quota;
  readonly bus: Pick<BusSender, 'publish' | 'send' | 'peek'>;
  readonly blobs: BlobStore;
  readonly exports: ExportStore;
}

/** An amount of one type of usage. */
export interface UsageAmount {
  readonly usage_type: string;
  readonly usage_amount: number;
}

/** The usage of one write. */
export interface QuotaRequest {
  /** The id in the write's usage event. It settles the reservation, or shows that it was abandoned. */
  readonly reservationId: string;
  readonly usage: readonly UsageAmount[];
}

/**
 * The free tier's quota. A write reserves its usage first, and its usage event turns the reservation into usage. The billing
 * domain implements it.
 */
export interface Quota {
  /** Whether the tenant's usage is limited. Paid plans are not. */
  limits(call: Call): boolean;
  /** Reserves for each write all of its usage, or nothing. Returns the problems of the refused ones by reservation id. */
  reserve(call: Call, requests: readonly QuotaRequest[]): Promise<ReadonlyMap<string, Problem>>;
  /**
   * Like {@link reserve}, for one write that leaves no row with the reservation's id. The id is undefined without a limit.
   */
  reserveOne(
    call: Call,
    usage: readonly UsageAmount[],
  ): Promise<{ readonly reservationId: string | undefined } | { readonly problem: Problem }>;
  /** Releases the reservations of writes that did not happen. Never throws: a timer finds reservations that stay. */
  release(call: Call, reservationIds: readonly string[]): Promise<void>;
}
