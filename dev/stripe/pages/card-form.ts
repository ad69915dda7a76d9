import type { CardDetails } from '../payments/payment-methods.ts';
import { findCardByNumber } from '../payments/test-cards.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';

/** The fields of a card. What was typed is never shown again: a page that comes back has them empty. */
export function cardFields(): Html {
  return html`
    <label for="card_number">Card number</label>
    <input id="card_number" name="card_number" autocomplete="cc-number" inputmode="numeric" required />
    <label for="card_expiry">Expiry (MM/YY)</label>
    <input id="card_expiry" name="card_expiry" autocomplete="cc-exp" placeholder="MM/YY" required />
    <label for="card_cvc">Security code</label>
    <input id="card_cvc" name="card_cvc" autocomplete="cc-csc" inputmode="numeric" required />
    <label for="card_name">Name on card</label>
    <input id="card_name" name="card_name" autocomplete="cc-name" />
  `;
}

type Fields = Readonly<Record<string, unknown>>;

/** What was typed into a field; empty where it is not there. */
export function readField(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value.trim() : '';
}

/** The expiry's month and year, or undefined where it is no date or has passed. */
function readExpiry(typed: string, now: number): { expMonth: number; expYear: number } | undefined {
  const match = /^(\d{1,2})\s*\/\s*(\d{2}|\d{4})$/.exec(typed);
  const [expMonth, year] = [Number(match?.[1]), Number(match?.[2])];
  const expYear = year < 100 ? 2000 + year : year;
  if (match === null || expMonth < 1 || expMonth > 12) return undefined;
  return Date.UTC(expYear, expMonth, 1) / 1000 > now ? { expMonth, expYear } : undefined;
}

/** The card that was typed, or what to tell the person. */
export function readCard(fields: Fields, now: number): CardDetails | { readonly fault: string } {
  const card = findCardByNumber(readField(fields, 'card_number'));
  if (card === undefined)
    return { fault: "Your card number is incorrect, or it is none of Stripe's test cards." };
  const expiry = readExpiry(readField(fields, 'card_expiry'), now);
  if (expiry === undefined) return { fault: "Your card's expiration date is incomplete or in the past." };
  if (!/^\d{3,4}$/.test(readField(fields, 'card_cvc')))
    return { fault: "Your card's security code is incomplete." };
  return { card, ...expiry, name: readField(fields, 'card_name') || null };
}
