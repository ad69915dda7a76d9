import type { Call, CallServices } from '../../../platform/call/call.ts';
import { errorFields, log } from '../../../platform/log/log.ts';
import { carryPlan } from '../plans/carry-plan.ts';
import { carryCode } from '../promotions/carry-code.ts';
import { stripeErrorOf, withStripe } from '../stripe/client.ts';

/** What carrying to Stripe needs. */
export type CarryServices = Pick<CallServices, 'settings' | 'crossTenant' | 'clock'>;

/** What is carried: a plan by its id, or a promotional code. */
export type Carried = 'plan' | 'code';

/** The fields of a row that carrying writes. They change without a new ETag, so that carrying disturbs no operator's change. */
export type SyncFields = Readonly<Record<string, unknown>>;

/** An operator waits for a dozen calls of Stripe, some of them one after another. */
const OPERATOR_MS = 8_000;

/**
 * Carries a plan or a code to Stripe, and returns what its row then says of it; undefined if there is no such row.
 * @throws Problem 503 if Stripe does not answer or is not configured; what Stripe refuses with.
 */
export function carry(services: CarryServices, what: Carried, id: string): Promise<SyncFields | undefined> {
  const { billing } = services.crossTenant;
  const now = services.clock.now();
  return withStripe(
    services.settings,
    async (stripe) => {
      if (what === 'plan') {
        const plan = await carryPlan(billing, stripe, id, now);
        return (
          plan && {
            stripe_product_id: plan.stripe_product_id,
            stripe_price_id: plan.stripe_price_id,
            stripe_price_id_yearly: plan.stripe_price_id_yearly,
            stripe_meters: plan.stripe_meters,
            synced_at: plan.synced_at,
          }
        );
      }
      const code = await carryCode(billing, stripe, id, now);
      return (
        code && {
          stripe_coupon_id: code.stripe_coupon_id,
          stripe_promotion_code_id: code.stripe_promotion_code_id,
          synced_at: code.synced_at,
        }
      );
    },
    OPERATOR_MS,
  );
}

/**
 * Carries what an operator has just written. The write stands whatever Stripe says: without it, `synced_at` stays null, until the next
 * write or the next carrying.
 */
export async function carryWritten(call: Call, what: Carried, id: string): Promise<SyncFields> {
  if (call.services.settings.STRIPE_SECRET_KEY === undefined) return {};
  try {
    return (await carry(call.services, what, id)) ?? {};
  } catch (error) {
    log.warn('billing-not-carried', {
      what,
      id,
      code: stripeErrorOf(error)?.code,
      param: stripeErrorOf(error)?.param,
      ...errorFields(error),
    });
    return { synced_at: null };
  }
}

/** What became of carrying everything. */
export interface CarryReport {
  readonly carried: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: unknown }[];
}

/** Carries all plans and codes, those in use first. One that fails stops no other. */
export async function carryAll(services: CarryServices): Promise<CarryReport> {
  const { billing } = services.crossTenant;
  const plans = await billing.query<{ id: string }>(
    `select plan_id as id from billing_plans where is_active or synced_at is null or stripe_product_id is not null
      order by is_active desc, plan_id`,
  );
  const codes = await billing.query<{ id: string }>(
    `select code as id from promotional_codes where is_active or synced_at is null order by is_active desc, code`,
  );
  const all = [
    ...plans.map(({ id }) => ({ what: 'plan' as const, id })),
    ...codes.map(({ id }) => ({ what: 'code' as const, id })),
  ];
  const carried: string[] = [];
  const failed: { name: string; error: unknown }[] = [];
  for (const { what, id } of all) {
    const name = `${what} ${id}`;
    try {
      await carry(services, what, id);
      carried.push(name);
    } catch (error) {
      failed.push({ name, error });
    }
  }
  return { carried, failed };
}
