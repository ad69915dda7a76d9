import type { IdentityProvider } from './identity-provider.ts';

/** A tenant's status. `suspended` and `offboarding` may read. `erased` no longer exists: its keys are refused. */
export type TenantStatus = 'active' | 'suspended' | 'offboarding' | 'erased';

/** A tenant's settings, as domains read them. The tenancy domain owns their schema and their meaning. */
export interface TenantConfig {
  /** Undefined when the settings cannot be read. */
  readonly frameworks: readonly string[] | undefined;
  readonly confidence_cutoff: number;
  readonly mapping_confidence_cutoff: number;
  readonly rate_limit_per_hour: number | null;
  readonly retention_days: number | null;
  /** Whose tokens the tenant accepts. */
  readonly identity_providers: readonly IdentityProvider[];
}

/**
 * What a tenant may do after a failed payment. `grace`: everything, until `graceEndsAt`. `read_only`: reads, and the billing
 * routes. The billing domain decides.
 */
export interface BillingStanding {
  readonly standing: 'good' | 'grace' | 'read_only';
  /** Null unless the standing is `grace`. */
  readonly graceEndsAt: Date | null;
}

/** What every request and every event needs to know about its tenant. */
export interface TenantContext {
  readonly tenantId: string;
  readonly name: string;
  readonly status: TenantStatus;
  readonly planId: string;
  /** Whether a limit of the plan refuses what is beyond it. Writes then reserve their usage. */
  readonly hasQuota: boolean;
  readonly billing: BillingStanding;
  readonly dataKeyId: string | null;
  readonly config: TenantConfig;
  /**
   * Days by data type, from the active policies with `auto_delete`. The default for other data types is the platform's 90
   * days.
   */
  readonly retentionDays: Readonly<Record<string, number>>;
}

/** Finds tenants. */
export interface TenantDirectory {
  /** Returns the tenant's context; null if there is no such tenant. */
  find(tenantId: string): TenantContext | null | Promise<TenantContext | null>;
  /** Call this after a change of the tenant, its settings or its retention. */
  forget(tenantId: string): void;
}
