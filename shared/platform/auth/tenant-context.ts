/** A tenant's standing: `suspended` and `offboarding` may read, `erased` does not exist any more: its keys open nothing. */
export type TenantStatus = 'active' | 'suspended' | 'offboarding' | 'erased';

/** A tenant's settings, as domains read them. The tenancy domain owns their schema and their meaning. */
export interface TenantConfig {
  /** Undefined where the settings cannot be read. */
  readonly frameworks: readonly string[] | undefined;
  readonly confidence_cutoff: number;
  readonly mapping_confidence_cutoff: number;
  readonly rate_limit_per_hour: number | null;
  readonly retention_days: number | null;
}

/** What every request and every event needs to know of its tenant. */
export interface TenantContext {
  readonly tenantId: string;
  readonly status: TenantStatus;
  readonly planId: string;
  readonly dataKeyId: string | null;
  readonly config: TenantConfig;
  /** Days by data type, of the active policies with `auto_delete`; a data type that is absent is kept for the platform's 90 days. */
  readonly retentionDays: Readonly<Record<string, number>>;
}

/** Looks tenants up. */
export interface TenantDirectory {
  /** The tenant's context; null if there is no such tenant. */
  find(tenantId: string): TenantContext | null | Promise<TenantContext | null>;
  /** To be called after a change of the tenant, its settings or its retention. */
  forget(tenantId: string): void;
}
