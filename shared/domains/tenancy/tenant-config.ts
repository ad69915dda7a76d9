import { z } from 'zod';

/** A share in [0,1]. */
const unit = z.number().min(0).max(1);

/** A tenant's settings (`tenant_configs.config_data`): a schema, not a bag. Every field has a default. */
export const tenantConfigSchema = z.strictObject({
  frameworks: z
    .array(z.string().min(1).max(50))
    .max(50)
    .default([])
    .describe('Compliance frameworks the tenant answers to, e.g. SOC2.'),
  confidence_cutoff: unit
    .default(0.6)
    .describe('An analysis less sure than this is replaced by its template.'),
  mapping_confidence_cutoff: unit
    .default(0.5)
    .describe(
      'A mapping less sure than this has the `review_status` `needs_review`, until it is confirmed or rejected.',
    ),
  rate_limit_per_hour: z
    .number()
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe('What all keys of the tenant may send in an hour together; null: each key its own limit.'),
  retention_days: z
    .number()
    .int()
    .min(1)
    .max(3650)
    .nullable()
    .default(null)
    .describe(
      'Days that records are kept where no retention policy says otherwise, not below what the frameworks ask for; null: 90, or ' +
        'what they ask for.',
    ),
  callback: z
    .null({ error: 'is not supported yet: nobody would be told' })
    .default(null)
    .describe('Where the tenant is told of completed work. Not supported yet: null alone is taken.'),
});

/** A tenant's settings. */
export type TenantConfig = z.output<typeof tenantConfigSchema>;

/**
 * The same as it may be stored: a callback that was taken while it had no effect still has none, and what a newer build has added
 * is passed over.
 */
export const storedTenantConfig = tenantConfigSchema
  .extend({
    callback: z
      .unknown()
      .transform(() => null)
      .prefault(null),
  })
  .strip();

/** The settings of a tenant that has stored none. */
export const defaultTenantConfig = (): TenantConfig => tenantConfigSchema.parse({});
