import { randomLetters } from '../objects/kinds.ts';
import type { Context } from '../api/context.ts';
import type { StandIn } from '../api/stand-in.ts';
import { StripeError } from '../api/stripe-error.ts';
import type { Fault } from './field.ts';

export type Result<T> = { readonly result: T } | Fault;

/** The field of a card form that a declined card is about. */
const FIELDS: Readonly<Record<string, string>> = { expired_card: 'card_expiry', incorrect_cvc: 'card_cvc' };

/**
 * Does what a form asks for. An answer that is an error becomes what the page tells the person; `onDeclined` may then keep
 * what a declined card leaves behind.
 */
export function performForm<T>(
  standIn: StandIn,
  path: string,
  run: (context: Context) => T,
  onDeclined: (context: Context) => void = () => undefined,
): Result<T> {
  const cause = { requestId: `req_${randomLetters(14)}`, idempotencyKey: null, path };
  let inside: Context | undefined;
  return standIn.attempt<T, Result<T>>(
    cause,
    (context) => {
      inside = context;
      return run(context);
    },
    (outcome) => {
      if (!('refused' in outcome)) return outcome;
      const { type, code = '', message } = outcome.refused.body;
      if (type !== 'card_error') return { fault: message };
      if (inside !== undefined) onDeclined(inside);
      return { fault: message, field: FIELDS[code] ?? 'card_number' };
    },
  );
}

/** 404 for a page whose address is not one that was given out. */
export function noSuchPage(): StripeError {
  return new StripeError(404, { type: 'invalid_request_error', message: 'There is no such page.' });
}
