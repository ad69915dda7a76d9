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
    .describe('A mapping less sure than this is marked for review.'),
  rate_limit_per_hour: z
    .number()
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe('Caps every key of the tenant; null: the key’s own limit.'),
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
    .strictObject({
      url: z.url({ protocol: /^https$/ }).max(500),
      events: z.array(z.string().max(100)).max(20).default([]),
    })
    .nullable()
    .default(null)
    .describe('Where the tenant wants to be told of completed work.'),
});

/** A tenant's settings. */
export type TenantConfig = z.output<typeof tenantConfigSchema>;
