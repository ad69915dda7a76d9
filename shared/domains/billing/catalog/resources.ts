import { z } from 'zod';
import { instant } from '../../../platform/http/fields.ts';
import {
  flag,
  isActive,
  nameText,
  optionalText,
  settingsObject,
  textId,
} from '../../../platform/resources/field-schemas.ts';
import { declareResource, type Resource } from '../../../platform/resources/resource.ts';
import { planMeters } from '../plans/meters.ts';
import { limitPolicy, planAllowance, PLAN_TYPES } from '../plans/plan.ts';
import { DISCOUNT_TYPES, DURATIONS } from '../promotions/promotion.ts';
import { carryWritten } from './carry.ts';
import { faultsOfCode, faultsOfPlan } from './faults.ts';
import { tellTenants } from './tell-tenants.ts';

const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code in capitals');
const minorUnits = z.number().int().min(0).max(99_999_999).default(0);
const usageType = z.string().min(1).max(100);
const stripeId = z.string().nullable();
const syncedAt = z
  .string()
  .nullable()
  .describe('When Stripe last had what this says; null until then. It changes without a new ETag.');

/** A row that was changed is not what Stripe has. */
const stampChange = () => ({ synced_at: null });

/** The plans that are sold. A plan is deactivated, never deleted: subscriptions refer to it. */
const billingPlans = declareResource({
  name: 'platform-billing-plans',
  path: 'platform/billing/plans',
  one: 'billing plan',
  description:
    'The plans that are sold, with their prices and limits. Operators keep them, and each change is carried to Stripe; subscriptions keep the price that they began with.',
  database: 'billing',
  table: 'billing_plans',
  idColumn: 'plan_id',
  idSchema: textId,
  scope: 'platform',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'platform:operate', write: 'platform:operate' },
  body: z.strictObject({
    plan_name: nameText,
    plan_type: z.enum(PLAN_TYPES),
    price_monthly: minorUnits.describe(
      'In minor units of the currency: 2900 USD is $29.00. 0: not sold by the month.',
    ),
    price_yearly: minorUnits.describe('In minor units of the currency. 0: not sold by the year.'),
    currency: currency.default('USD'),
    features: settingsObject,
    limits: z
      .record(usageType, z.number().min(0).max(1e10))
      .default({})
      .describe('What a month includes, by usage type. An absent type has no limit.'),
    limit_policies: z
      .record(usageType, limitPolicy)
      .default({})
      .describe('How each limit binds. An absent one is `hard` in a plan of the type `free`, else `soft`.'),
    allowances: z
      .array(planAllowance)
      .max(50)
      .default([])
      .describe('Free allowances beside the monthly ones that `limits` gives.'),
    trial_days: z.number().int().min(0).max(730).default(0),
    is_active: isActive,
  }),
  readOnly: {
    stripe_product_id: stripeId,
    stripe_price_id: stripeId,
    stripe_price_id_yearly: stripeId,
    stripe_meters: planMeters,
    synced_at: syncedAt,
  },
  filters: { plan_type: z.enum(PLAN_TYPES), is_active: flag },
  stampChange,
  check: faultsOfPlan,
  onWrite: tellTenants,
  afterCommit: (call, id) => carryWritten(call, 'plan', id),
  sample: ({ unique }) => ({ plan_id: unique, plan_name: unique, plan_type: 'paid', price_monthly: 4900 }),
});

/** Codes that people type at checkout. A code is deactivated, never deleted: its uses refer to it. */
const promotionalCodes = declareResource({
  name: 'platform-promotional-codes',
  path: 'platform/billing/promotional-codes',
  one: 'promotional code',
  description:
    'Codes that give a discount or a longer trial at checkout. Operators keep them, and each change is carried to Stripe; a tenant uses a code once.',
  database: 'billing',
  table: 'promotional_codes',
  idColumn: 'code',
  idSchema: z
    .string()
    .regex(/^[A-Za-z0-9-]{3,50}$/, 'must be 3 to 50 of A-Z, 0-9 and “-”')
    .toUpperCase(),
  scope: 'platform',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'platform:operate', write: 'platform:operate' },
  body: z.strictObject({
    description: optionalText(1000),
    discount_type: z.enum(DISCOUNT_TYPES),
    discount_value: z
      .number()
      .int()
      .min(1)
      .max(99_999_999)
      .describe('Percent, minor units of the currency, or days.'),
    currency: currency.nullable().default(null).describe('Of `fixed_amount` only.'),
    duration: z.enum(DURATIONS).default('once'),
    duration_in_months: z
      .number()
      .int()
      .min(1)
      .max(1200)
      .nullable()
      .default(null)
      .describe('Of `repeating` only.'),
    max_uses: z
      .number()
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .nullable()
      .default(null),
    valid_from: instant.nullable().default(null),
    valid_until: instant.nullable().default(null),
    applicable_plans: z.array(textId).max(100).default([]).describe('Empty: every plan that has a price.'),
    is_active: isActive,
  }),
  readOnly: {
    current_uses: z
      .number()
      .describe('Reserved and used, all tenants together. It changes without a new ETag.'),
    stripe_coupon_id: stripeId,
    stripe_promotion_code_id: stripeId,
    synced_at: syncedAt,
  },
  filters: { discount_type: z.enum(DISCOUNT_TYPES), is_active: flag },
  stampChange,
  check: faultsOfCode,
  afterCommit: (call, id) => carryWritten(call, 'code', id),
  sample: ({ unique }) => ({
    code: unique.toUpperCase().replaceAll('_', '-'),
    discount_type: 'percentage',
    discount_value: 20,
  }),
});

/** The domain's declared resources; its routes and their tests follow from this list. */
export const billingResources: readonly Resource[] = [billingPlans, promotionalCodes];
