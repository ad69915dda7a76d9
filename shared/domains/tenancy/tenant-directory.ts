import { z } from 'zod';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import type { TenantContext, TenantDirectory } from '../../platform/auth/tenant-context.ts';
import { SingleFlightCache } from '../../platform/cache/single-flight-cache.ts';
import { defaultTenantConfig, storedTenantConfig } from './tenant-config.ts';

/** Settings that cannot be parsed count as the defaults, but with unknown frameworks. */
const unreadableConfig = z.unknown().transform(() => ({ ...defaultTenantConfig(), frameworks: undefined }));

/** A {@link TenantContext} as it comes from the database. */
const contextSchema = z.object({
  tenantId: z.string(),
  name: z.string(),
  status: z.enum(['active', 'suspended', 'offboarding', 'erased']),
  planId: z.string(),
  hasQuota: z.boolean(),
  billing: z.object({
    standing: z.enum(['good', 'grace', 'read_only']),
    graceEndsAt: z.coerce.date().nullable(),
  }),
  dataKeyId: z.string().nullable(),
  config: storedTenantConfig.or(unreadableConfig),
});

/**
 * Retention days by data type, from active policies with auto_delete. An absent type has the platform's 90 days. Retention provides
 * the SQL, so that one statement reads the whole context, and the parser.
 */
export interface RetentionDays {
  readonly sql: (tenantId: string) => string;
  readonly schema: z.ZodType<Readonly<Record<string, number>>>;
}

/**
 * A changed status, plan or setting takes effect everywhere within 5 s: 3 s in the cache, and 2 s for a look-up that began just
 * before the change and for a paid plan's way from Stripe, which passes two queues. The process that made the change sees it at
 * once.
 */
const MEMORY_TTL_MS = 3_000;
const MEMORY_MAX = 10_000;

/**
 * Finds tenants' contexts in memory, then in the database. They are not cached in Redis: a process that read the row just before
 * a change could write an old copy there, and an erased tenant would stay active as long as that copy. One look-up by key for
 * each tenant every few seconds costs less than keeping such a copy correct.
 */
export class CachedTenantDirectory implements TenantDirectory {
  readonly #database: CrossTenantDatabase;
  readonly #retentionDays: RetentionDays;
  readonly #memory = new SingleFlightCache<TenantContext | null>({
    ttlMs: MEMORY_TTL_MS,
    max: MEMORY_MAX,
    name: 'tenants',
  });

  constructor(database: CrossTenantDatabase, retentionDays: RetentionDays) {
    this.#database = database;
    this.#retentionDays = retentionDays;
  }

  /** The tenant's context; null if there is no such tenant. */
  find(tenantId: string): TenantContext | null | Promise<TenantContext | null> {
    return this.#memory.find(tenantId, () => this.#load(tenantId));
  }

  /** Call this after a change of the tenant, its settings or its retention. */
  forget(tenantId: string): void {
    this.#memory.forget(tenantId);
  }

  async #load(tenantId: string): Promise<TenantContext | null> {
    const [row] = await this.#database.query(
      `select t.tenant_id as "tenantId", t.name, t.status, t.plan_id as "planId", t.has_quota as "hasQuota",
              json_build_object('standing', t.billing_standing, 'graceEndsAt', t.billing_grace_ends_at) as billing,
              t.data_key_id as "dataKeyId",
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
