import { z } from 'zod';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { TenantContext, TenantDirectory } from '../../platform/auth/tenant-context.ts';
import type { Cache } from '../../platform/cache/cache.ts';
import { tenantConfigKey } from '../../platform/cache/keys.ts';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import { tenantConfigSchema } from './tenant-config.ts';

/** A {@link TenantContext} as Redis and the database give it. */
const contextSchema = z.object({
  tenantId: z.string(),
  status: z.enum(['active', 'suspended', 'offboarding', 'erased']),
  planId: z.string(),
  dataKeyId: z.string().nullable(),
  config: tenantConfigSchema.catch(() => tenantConfigSchema.parse({})),
  /** Days by data type, of the active policies with auto_delete; what is absent has the platform's 90. */
  retentionDays: z.record(z.string(), z.number()),
});

/** A changed plan or setting is seen everywhere within this time, at once where it was changed. */
const MEMORY_TTL_MS = 5_000;
const REDIS_TTL_S = 60;
const MEMORY_MAX = 10_000;

/** Finds tenants' contexts: memory, then Redis, then the database. */
export class CachedTenantDirectory implements TenantDirectory {
  readonly #database: CrossTenantDatabase;
  readonly #cache: Cache;
  readonly #memory = new SingleFlightCache<TenantContext | null>({ ttlMs: MEMORY_TTL_MS, max: MEMORY_MAX });

  constructor(database: CrossTenantDatabase, cache: Cache) {
    this.#database = database;
    this.#cache = cache;
  }

  /** The tenant's context, or null if there is no such tenant. */
  find(tenantId: string): TenantContext | null | Promise<TenantContext | null> {
    return this.#memory.find(
      tenantId,
      async () =>
        (await this.#cache.read(tenantConfigKey(tenantId), contextSchema)) ?? (await this.#load(tenantId)),
    );
  }

  /** To be called after a change of the tenant, its settings or its retention. */
  async forget(tenantId: string): Promise<void> {
    this.#memory.forget(tenantId);
    await this.#cache.drop(tenantConfigKey(tenantId));
  }

  async #load(tenantId: string): Promise<TenantContext | null> {
    const [row] = await this.#database.query(
      `select t.tenant_id as "tenantId", t.status, t.plan_id as "planId", t.data_key_id as "dataKeyId",
              coalesce(c.config_data, '{}') as config,
              coalesce((select jsonb_object_agg(p.data_type, p.retention_days) from data_retention_policies p
                        where p.tenant_id = t.tenant_id and p.is_active and p.auto_delete), '{}') as "retentionDays"
         from tenants t left join tenant_configs c on c.tenant_id = t.tenant_id
        where t.tenant_id = $1`,
      [tenantId],
    );
    if (row === undefined) return null;
    const context = contextSchema.parse(row);
    await this.#cache.write(tenantConfigKey(tenantId), context, REDIS_TTL_S);
    return context;
  }
}
