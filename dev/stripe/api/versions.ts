import Stripe from 'stripe';
import { invalidRequest, notInStandIn } from './stripe-error.ts';

/** The versions whose shapes the stand-in's objects have. */
const SPOKEN: readonly string[] = [Stripe.API_VERSION, '2026-09-30.endive'];

const KNOWN = /^20(1[1-9]|2[0-6])-\d\d-\d\d([.](acacia|basil|clover|dahlia|dashboard))?$/;

/** The version to answer in. An older one is 501, because its objects look different; an unknown one is 400. */
export function chooseVersion(header: string | undefined): string {
  if (header === undefined) return Stripe.API_VERSION;
  if (SPOKEN.includes(header)) return header;
  if (KNOWN.test(header)) throw notInStandIn(`answers in the API version ${header}`);
  throw invalidRequest(`Invalid Stripe API version: ${header}`);
}
