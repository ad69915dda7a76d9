import type { Principal } from '../auth/principal.ts';
import type { TenantContext } from '../auth/tenant-context.ts';
import type { TenantDatabase } from '../db/tenant-database.ts';
import type { CallServices, TenantDatabases } from './services.ts';

/** How a client made a write repeatable. */
export interface IdempotencyClaim {
  readonly key: string;
  /** SHA-256 of what was asked. */
  readonly fingerprint: Buffer;
}

/** Where a request came from, for the audit trail. */
export interface Origin {
  readonly traceId: string;
  readonly ip: string | null;
  readonly userAgent: string | null;
}

/** One authenticated request: everything that a domain function may use on its behalf. */
export interface Call {
  readonly services: CallServices;
  readonly principal: Principal;
  /** The core database, as the principal's tenant sees it. */
  readonly tenant: TenantDatabase;
  /** All three databases, as the principal's tenant sees them. */
  readonly databases: TenantDatabases;
  readonly context: TenantContext;
  readonly now: Date;
  /** The endpoint's name: the scope of idempotency keys. */
  readonly route: string;
  readonly idempotency: IdempotencyClaim | null;
  readonly origin: Origin;
}
