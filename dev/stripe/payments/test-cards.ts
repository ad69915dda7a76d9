import { createHash } from 'node:crypto';

/** Why a card is refused, in Stripe's words. */
export interface Decline {
  readonly code: 'card_declined' | 'expired_card' | 'incorrect_cvc' | 'processing_error';
  readonly declineCode: string;
  readonly message: string;
}

/** A card of Stripe's list of test cards, with what it does. */
export interface TestCard {
  readonly number: string;
  readonly brand: string;
  readonly funding: 'credit' | 'debit';
  /** `pm_card_…`, which stand for the card in requests. */
  readonly tokens: readonly string[];
  readonly decline?: Decline;
  /** The card can be attached to a customer; only its charges are declined. */
  readonly declinesLater?: boolean;
  /** Each charge is disputed as fraudulent. */
  readonly isDisputed?: boolean;
}

const generic: Decline = {
  code: 'card_declined',
  declineCode: 'generic_decline',
  message: 'Your card was declined.',
};

function declined(declineCode: string, message = 'Your card was declined.'): Decline {
  return { code: 'card_declined', declineCode, message };
}

function visa(number: string, token: string, more: Partial<TestCard> = {}): TestCard {
  return { number, brand: 'visa', funding: 'credit', tokens: [`pm_card_${token}`], ...more };
}

/** A Visa that is declined; Stripe has two spellings of these tokens. */
function declinedVisa(number: string, ending: string, decline: Decline): TestCard {
  const tokens = [`pm_card_chargeDeclined${ending}`, `pm_card_visa_chargeDeclined${ending}`];
  return { number, brand: 'visa', funding: 'credit', tokens, decline };
}

/** https://docs.stripe.com/testing, without the cards that ask for authentication. */
const TEST_CARDS: readonly TestCard[] = [
  visa('4242424242424242', 'visa'),
  visa('4000056655665556', 'visa_debit', { funding: 'debit' }),
  { ...visa('5555555555554444', 'mastercard'), brand: 'mastercard' },
  { ...visa('378282246310005', 'amex'), brand: 'amex' },
  { ...visa('6011111111111117', 'discover'), brand: 'discover' },
  visa('4000000000000341', 'chargeCustomerFail', { decline: generic, declinesLater: true }),
  visa('4000000000000259', 'createDispute', { isDisputed: true }),
  declinedVisa('4000000000000002', '', generic),
  declinedVisa(
    '4000000000009995',
    'InsufficientFunds',
    declined('insufficient_funds', 'Your card has insufficient funds.'),
  ),
  declinedVisa('4000000000009987', 'LostCard', declined('lost_card')),
  declinedVisa('4000000000009979', 'StolenCard', declined('stolen_card')),
  declinedVisa('4000000000000069', 'ExpiredCard', {
    code: 'expired_card',
    declineCode: 'expired_card',
    message: 'Your card has expired.',
  }),
  declinedVisa('4000000000000127', 'IncorrectCvc', {
    code: 'incorrect_cvc',
    declineCode: 'incorrect_cvc',
    message: "Your card's security code is incorrect.",
  }),
  declinedVisa('4000000000000119', 'ProcessingError', {
    code: 'processing_error',
    declineCode: 'processing_error',
    message: 'An error occurred while processing your card. Try again in a little bit.',
  }),
];

export function lastFour({ number }: TestCard): string {
  return number.slice(-4);
}

/** `tok_visa` stands for the same card as `pm_card_visa`. */
export function findCardByToken(token: string): TestCard | undefined {
  const wanted = token.replace(/^tok_/, 'pm_card_');
  return TEST_CARDS.find(({ tokens }) => tokens.includes(wanted));
}

/** By what a person types: spaces and dashes do not count. */
export function findCardByNumber(typed: string): TestCard | undefined {
  const digits = typed.replaceAll(/[\s-]/g, '');
  return TEST_CARDS.find(({ number }) => number === digits);
}

/** A payment method keeps no number, and needs none: no two test cards end in the same four digits. */
export function findCardByLastFour(last4: string): TestCard | undefined {
  return TEST_CARDS.find((card) => lastFour(card) === last4);
}

/** The same for the same card, however often it is given. */
export function fingerprintOf({ number }: TestCard): string {
  return createHash('sha256').update(number).digest('base64url').replaceAll(/[-_]/g, 'x').slice(0, 16);
}
