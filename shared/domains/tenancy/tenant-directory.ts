import { z } from 'zod';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { TenantContext, TenantDirectory } from '../../platform/auth/tenant-context.ts';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import { defaultTenantConfig, storedTenantConfig } from './tenant-config.ts';

/** Settings that cannot be read count as the defaults, but for the frameworks, which nobody knows then. */
const unreadableConfig = z.unknown().transform(() => ({ ...defaultTenantConfig(), frameworks: undefined }));

/** A {@link TenantContext} as the database gives it. */
const contextSchema = z.object({
  tenantId: z.string(),
  status: z.enum(['active', 'suspended', 'offboarding', 'erased']),
  planId: z.string(),
  dataKeyId: z.string().nullable(),
  config: storedTenantConfig.or(unreadableConfig),
});

/**
 * Days by data type, of the active policies with auto_delete; what is absent has the platform's 90. Retention knows the SQL, so that
 * one statement reads all, and how its values are read.
 */
export interface RetentionDays {
  readonly sql: (tenantId: string) => string;
  readonly schema: z.ZodType<Readonly<Record<string, number>>>;
}

/**
 * A changed status, plan or setting acts everywhere within 5 s, at once where it was changed: 4 s of memory, and a second
 * for a look-up that began just before the change.
 */
const MEMORY_TTL_MS = 4_000;
const MEMORY_MAX = 10_000;

/**
 * Finds tenants' contexts: memory, then the database. Not Redis: its copy could be written by a process that read the row
 * just before a change, and an erased tenant would live on for as long as that copy. One look-up by key a tenant every few
 * seconds costs less than keeping such a copy right.
 */
export class CachedTenantDirectory implements TenantDirectory {
  readonly #database: CrossTenantDatabase;
  readonly #retentionDays: RetentionDays;
  readonly #memory = new SingleFlightCache<TenantContext | null>({ ttlMs: MEMORY_TTL_MS, max: MEMORY_MAX });

  constructor(database: CrossTenantDatabase, retentionDays: RetentionDays) {
    this.#database = database;
    this.#retentionDays = retentionDays;
  }

  /** The tenant's context, or null if there is no such tenant. */
  find(tenantId: string): TenantContext | null | Promise<TenantContext | null> {
    return this.#memory.find(tenantId, () => this.#load(tenantId));
  }

  /** To be called after a change of the tenant, its settings or its retention. */
  forget(tenantId: string): void {
    this.#memory.forget(tenantId);
  }

  async #load(tenantId: string): Promise<TenantContext | null> {
    const [row] = await this.#database.query(
      `select t.tenant_id as "tenantId", t.status, t.plan_id as "planId", t.data_key_id as "dataKeyId",
              coalesce(c.config_data, '{}') as config,
              ${this.#retentionDays.sql('t.tenant_id')} as "retentionDays"
         from tenants t left join tenant_configs c on c.tenant_id = t.tenant_id
        where t.tenant_id = $1`,
      [tenantId],
      { short: true },
    );
    if (row === undefined) return null;
    return {
      ...contextSchema.parse(row),
      retentionDays: this.#retentionDays.schema.parse(row['retentionDays']),
    };
  }
}
