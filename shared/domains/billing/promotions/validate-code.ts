import { z } from 'zod';
import type { Call } from '../../../platform/call/call.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { textId } from '../../../platform/resources/field-schemas.ts';
import { toDecimal } from '../money.ts';
import {
  codeOf,
  DISCOUNT_TYPES,
  DURATIONS,
  PROMOTION_COLUMNS,
  promotionRow,
  REFUSALS,
  refusalOf,
  useRow,
  type PromotedPlan,
  type Promotion,
} from './promotion.ts';

/** The body of `POST /billing/promotional-codes/validate`. */
export const codeToValidate = z.strictObject({
  code: z.string().min(1).max(100).describe('In capitals or not.'),
  plan_id: textId,
});

const discount = z.object({
  discount_type: z.enum(DISCOUNT_TYPES),
  percent_off: z.number().nullable(),
  amount_off: z.string().nullable().describe('A decimal of the currency’s major unit.'),
  currency: z.string().nullable(),
  trial_days: z.number().nullable(),
  duration: z.enum(DURATIONS).nullable().describe('How long the discount lasts; null for a free trial.'),
  duration_in_months: z.number().nullable(),
});

/** Its answer. A refused code has a reason and no discount. */
export const validatedCode = z.object({
  valid: z.boolean(),
  reason: z.enum(REFUSALS).nullable(),
  discount: discount.nullable(),
});
type ValidatedCode = z.output<typeof validatedCode>;

/**
 * Whether the tenant can use a code for a plan now, and what it gives; nothing is reserved. It reads no other tenant's uses: all that
 * can be learned of them is that a code is used up.
 */
export async function validateCode(
  call: Call,
  { code: typed, plan_id: planId }: z.output<typeof codeToValidate>,
): Promise<Reply<200, ValidatedCode>> {
  const code = codeOf(typed);
  const refused = (reason: ValidatedCode['reason']) =>
    ok<ValidatedCode>({ valid: false, reason, discount: null });
  if (code === undefined) return refused('unknown');
  const found = await call.databases.billing.statement(
    `select r.* from scope, lateral (
       select ${PROMOTION_COLUMNS.split(', ')
         .map((column) => `c.${column}`)
         .join(', ')}, u.status, u.checkout_session_id,
              p.plan_id, p.plan_type, p.currency as plan_currency
         from promotional_codes c
         left join promotional_code_usage u on u.code = c.code and u.tenant_id = scope.tenant_id
         left join billing_plans p on p.plan_id = $3 and p.is_active
        where c.code = $2 offset 0) r`,
    [code, planId],
  );
  const [row] = found;
  if (row === undefined) return refused('unknown');
  const promotion = promotionRow.parse(row);
  const refusal = refusalOf(
    promotion,
    planOf(row),
    row['status'] === null ? undefined : useRow.parse(row),
    call.now,
  );
  return refusal === undefined
    ? ok<ValidatedCode>({ valid: true, reason: null, discount: discountOf(promotion) })
    : refused(refusal);
}

function planOf(row: Readonly<Record<string, unknown>>): PromotedPlan | undefined {
  const parsed = z
    .object({ plan_id: z.string(), plan_type: z.string(), plan_currency: z.string() })
    .safeParse(row);
  if (!parsed.success) return undefined;
  const { plan_id, plan_type, plan_currency: currency } = parsed.data;
  return { plan_id, plan_type, currency };
}

function discountOf(promotion: Promotion): z.output<typeof discount> {
  const { discount_type: type, discount_value: value, currency, duration, duration_in_months } = promotion;
  const isTrial = type === 'free_trial';
  return {
    discount_type: type,
    percent_off: type === 'percentage' ? value : null,
    amount_off: type === 'fixed_amount' && currency !== null ? toDecimal(value, currency) : null,
    currency,
    trial_days: isTrial ? value : null,
    duration: isTrial ? null : duration,
    duration_in_months: isTrial ? null : duration_in_months,
  };
}
