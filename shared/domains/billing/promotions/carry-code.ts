import { createHash } from 'node:crypto';
import type Stripe from 'stripe';
import { canonicalJson } from '../../../platform/json/canonical-json.ts';
import type { CrossTenantDatabase, CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { isStripeMissing, stripeErrorOf } from '../stripe/client.ts';
import { lockForCarrying } from '../stripe/lock-for-carrying.ts';
import { PROMOTION_COLUMNS, promotionRow, type Promotion } from './promotion.ts';

type Queries = Pick<CrossTenantTransaction, 'query'>;

/** A code that another write keeps changing is carried by that write. */
const ATTEMPTS = 3;

/** A promotional code by its stored spelling; undefined if there is none. */
async function findPromotion(queries: Queries, code: string): Promise<Promotion | undefined> {
  const [row] = await queries.query(`select ${PROMOTION_COLUMNS} from promotional_codes where code = $1`, [
    code,
  ]);
  return row === undefined ? undefined : promotionRow.parse(row);
}

/**
 * Makes Stripe have what a code says: a coupon, and a promotion code for it. Another discount is another coupon, and subscriptions keep
 * the one that they began with. Windows, plans and the number of uses are ours alone: checkout reserves a use before it asks Stripe. A
 * free trial has no coupon: checkout gives the days. Everything is looked for before it is made, so it can be repeated after any
 * failure half-way.
 * @throws what Stripe or the database throws; the code's `synced_at` is then still null.
 */
export async function carryCode(
  billing: CrossTenantDatabase,
  stripe: Stripe,
  code: string,
  now: Date,
): Promise<Promotion | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    await billing.transaction((transaction) => carryOnce(transaction, stripe, code, now));
    const promotion = await findPromotion(billing, code);
    if (promotion === undefined || promotion.synced_at !== null) return promotion;
  }
  return findPromotion(billing, code);
}

async function carryOnce(
  transaction: CrossTenantTransaction,
  stripe: Stripe,
  code: string,
  now: Date,
): Promise<void> {
  await lockForCarrying(transaction, `code:${code}`);
  const promotion = await findPromotion(transaction, code);
  if (promotion === undefined) return;
  const coupon = promotion.discount_type === 'free_trial' ? null : await ensureCoupon(stripe, promotion);
  const promotionCode = await ensurePromotionCode(stripe, promotion, coupon);
  await transaction.query(
    `update promotional_codes set stripe_coupon_id = $3, stripe_promotion_code_id = $4, synced_at = $5
      where code = $1 and version = $2`,
    [code, promotion.version, coupon, promotionCode, now],
  );
}

/** What a coupon is. Stripe allows none of it to be changed. */
function contentOf(promotion: Promotion): Stripe.CouponCreateParams {
  const { discount_type: type, discount_value: value, currency, duration_in_months: months } = promotion;
  return {
    ...(type === 'percentage'
      ? { percent_off: value }
      : { amount_off: value, currency: currency?.toLowerCase() ?? '' }),
    duration: promotion.duration,
    ...(months === null ? {} : { duration_in_months: months }),
  };
}

/**
 * The coupon's id is made of its content, so it is found without a search and made once, whoever races. No Idempotency-Key: if a person
 * deletes the coupon, a repeated key would answer with the deleted one.
 */
async function ensureCoupon(stripe: Stripe, promotion: Promotion): Promise<string> {
  const content = contentOf(promotion);
  const hash = createHash('sha256').update(canonicalJson(content)).digest('hex').slice(0, 12);
  const id = `${promotion.code}-${hash}`;
  try {
    return (await stripe.coupons.retrieve(id)).id;
  } catch (error) {
    if (!isStripeMissing(error)) throw error;
  }
  const { code } = promotion;
  try {
    return (await stripe.coupons.create({ id, name: code.slice(0, 40), ...content, metadata: { code } })).id;
  } catch (error) {
    if (stripeErrorOf(error)?.code === 'resource_already_exists') return id;
    throw error;
  }
}

/** One active promotion code of this name: an earlier one for another coupon is turned off first, because names are unique among them. */
async function ensurePromotionCode(
  stripe: Stripe,
  { code, is_active: isActive, version }: Promotion,
  coupon: string | null,
): Promise<string | null> {
  let own: Stripe.PromotionCode | undefined;
  for await (const found of stripe.promotionCodes.list({ code, limit: 100 })) {
    if (coupon !== null && couponOf(found) === coupon && own === undefined) own = found;
    else if (found.active) await stripe.promotionCodes.update(found.id, { active: false });
  }
  if (own !== undefined) {
    if (own.active !== isActive) await stripe.promotionCodes.update(own.id, { active: isActive });
    return own.id;
  }
  if (coupon === null || !isActive) return null;
  const made = await stripe.promotionCodes.create(
    { code, promotion: { type: 'coupon', coupon }, metadata: { code } },
    { idempotencyKey: `promotion-code:${code}:${version}:${coupon}` },
  );
  return made.id;
}

function couponOf({ promotion }: Stripe.PromotionCode): string | undefined {
  const { coupon } = promotion;
  return typeof coupon === 'string' ? coupon : (coupon?.id ?? undefined);
}
