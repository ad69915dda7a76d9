import { z } from 'zod';
import {
  flag,
  isActive,
  nameText,
  optionalText,
  settingsObject,
  textId,
} from '../../../platform/resources/field-schemas.ts';
import { declareResource, type Resource } from '../../../platform/resources/resource.ts';
import { PLAN_TYPES } from './plan.ts';

const minorUnits = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0);

/** The plans that are sold. A plan is deactivated, never deleted: subscriptions refer to it. */
const billingPlans = declareResource({
  name: 'billing-plans',
  one: 'billing plan',
  description:
    'The plans that a tenant can be on, with their prices and limits. Operators keep them; everyone reads them.',
  database: 'billing',
  table: 'billing_plans',
  idColumn: 'plan_id',
  idSchema: textId,
  scope: 'platform',
  verbs: ['create', 'list', 'read', 'replace', 'deactivate'],
  permissions: { read: 'usage:read', write: 'platform:operate' },
  body: z.strictObject({
    plan_name: nameText,
    plan_type: z.enum(PLAN_TYPES),
    price_monthly: minorUnits.describe('In minor units of the currency: 2900 USD is $29.00.'),
    price_yearly: minorUnits.describe('In minor units of the currency.'),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code in capitals')
      .default('USD'),
    features: settingsObject,
    limits: z
      .record(z.string().min(1).max(100), z.number().min(0).max(1e10))
      .default({})
      .describe('What a month includes, by usage type. An absent type has no limit.'),
    stripe_price_id: optionalText(255),
    stripe_product_id: optionalText(255),
    is_active: isActive,
  }),
  filters: { plan_type: z.enum(PLAN_TYPES), is_active: flag },
  sample: ({ unique }) => ({ plan_id: unique, plan_name: unique, plan_type: 'paid', price_monthly: 4900 }),
});

/** The domain's declared resources; its routes and their tests follow from this list. */
export const billingResources: readonly Resource[] = [billingPlans];
