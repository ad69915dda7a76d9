import type Stripe from 'stripe';
import type { Look } from './patch.ts';

/** The id of what may be expanded. */
export function idOf(reference: string | { readonly id: string } | null | undefined): string | null {
  return typeof reference === 'string' ? reference : (reference?.id ?? null);
}

/** The first of the discounts, whole, as the field `discount` had it. */
export function findDiscount(
  discounts: readonly (string | Stripe.Discount | Stripe.DeletedDiscount)[],
  look: Look,
): Stripe.Discount | Stripe.DeletedDiscount | null {
  const [first] = discounts;
  return typeof first === 'string' ? (look.get('discount', first) ?? null) : (first ?? null);
}
