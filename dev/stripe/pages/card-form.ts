import type { CardDetails } from '../payments/payment-methods.ts';
import { findCardByNumber } from '../payments/test-cards.ts';
import { alertOf, field } from './field.ts';
import type { Fault } from './field.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';

const CARD_FIELDS = ['card_number', 'card_expiry', 'card_cvc'];

/** The fields of a card. What was typed is never shown again: a page that comes back has them empty. */
export function cardFields(fault?: Fault): Html {
  const isElsewhere = fault !== undefined && !CARD_FIELDS.includes(fault.field ?? '');
  return html`
    ${isElsewhere && alertOf(fault)}
    ${field(
      {
        name: 'card_number',
        label: 'Card number',
        hint: 'For example 4242 4242 4242 4242, with any later date and any code.',
        attributes: html`autocomplete="cc-number" inputmode="numeric" required`,
      },
      fault,
    )}
    ${field(
      {
        name: 'card_expiry',
        label: 'Expiry (MM/YY)',
        attributes: html`autocomplete="cc-exp" placeholder="MM/YY" required`,
      },
      fault,
    )}
    ${field(
      {
        name: 'card_cvc',
        label: 'Security code',
        attributes: html`autocomplete="cc-csc" inputmode="numeric" required`,
      },
      fault,
    )}
    ${field({ name: 'card_name', label: 'Name on card', attributes: html`autocomplete="cc-name"` })}
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
  const match = /^(\d{1,2})[\s/-]*(\d{2}|\d{4})$/.exec(typed);
  const [expMonth, year] = [Number(match?.[1]), Number(match?.[2])];
  const expYear = year < 100 ? 2000 + year : year;
  if (match === null || expMonth < 1 || expMonth > 12) return undefined;
  return Date.UTC(expYear, expMonth, 1) / 1000 > now ? { expMonth, expYear } : undefined;
}

/** The card that was typed, or what to tell the person. */
export function readCard(fields: Fields, now: number): CardDetails | Fault {
  const card = findCardByNumber(readField(fields, 'card_number'));
  if (card === undefined)
    return {
      fault: "Your card number is incorrect, or it is none of Stripe's test cards.",
      field: 'card_number',
    };
  const expiry = readExpiry(readField(fields, 'card_expiry'), now);
  if (expiry === undefined)
    return { fault: "Your card's expiration date is incomplete or in the past.", field: 'card_expiry' };
  if (!/^\d{3,4}$/.test(readField(fields, 'card_cvc')))
    return { fault: "Your card's security code is incomplete.", field: 'card_cvc' };
  return { card, ...expiry, name: readField(fields, 'card_name') || null };
}
