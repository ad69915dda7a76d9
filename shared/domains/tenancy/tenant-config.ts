import { z } from 'zod';
import { identityProviders, storedIdentityProviders } from '../identity/oidc/provider.ts';
import { callback } from '../webhooks/schemas.ts';

/** A share in [0,1]. */
const unit = z.number().min(0).max(1);

/** A tenant's settings (`tenant_configs.config_data`). Every field has a default, and unknown fields are refused. */
export const tenantConfigSchema = z.strictObject({
  frameworks: z
    .array(z.string().min(1).max(50))
    .max(50)
    .default([])
    .describe('The tenant’s compliance frameworks, e.g. SOC2.'),
  confidence_cutoff: unit
    .default(0.6)
    .describe('An analysis with a lower confidence is replaced by its template.'),
  mapping_confidence_cutoff: unit
    .default(0.5)
    .describe(
      'A mapping with a lower confidence has the `review_status` `needs_review` until it is confirmed or rejected.',
    ),
  rate_limit_per_hour: z
    .number()
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe('The limit for all keys of the tenant together, in an hour. Null: only each key’s own limit.'),
  retention_days: z
    .number()
    .int()
    .min(1)
    .max(3650)
    .nullable()
    .default(null)
    .describe(
      'Days that records are kept without a retention policy, not below the frameworks’ minimum. Null: 90 days, or the ' +
        'frameworks’ minimum.',
    ),
  callback: callback
    .nullable()
    .default(null)
    .describe(
      'Where the tenant is told of completed work and other events: a webhook endpoint that these settings manage. It is listed with ' +
        'the others, and the rotation of its secret shows one. Null: none.',
    ),
  identity_providers: identityProviders
    .default([])
    .describe('Whose tokens the tenant accepts, with the header `X-Tenant-Id`, and which roles they give.'),
});

/** A tenant's settings. */
export type TenantConfig = z.output<typeof tenantConfigSchema>;

/**
 * The same schema for stored settings. It ignores a callback that this build does not understand, for example of the time before
 * they were endpoints, and fields of a newer build.
 */
export const storedTenantConfig = tenantConfigSchema
  .extend({
    callback: callback.nullable().default(null).catch(null),
    identity_providers: storedIdentityProviders.default([]),
  })
  .strip();

/** The settings of a tenant without stored settings. */
export const defaultTenantConfig = (): TenantConfig => tenantConfigSchema.parse({});
