import { randomLetters } from '../objects/kinds.ts';
import type { Context } from '../api/context.ts';
import type { StandIn } from '../api/stand-in.ts';
import { StripeError } from '../api/stripe-error.ts';

export type Result<T> = { readonly result: T } | { readonly fault: string };

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
      const { type, message } = outcome.refused.body;
      if (type === 'card_error' && inside !== undefined) onDeclined(inside);
      return { fault: message };
    },
  );
}

/** 404 for a page whose address is not one that was given out. */
export function noSuchPage(): StripeError {
  return new StripeError(404, { type: 'invalid_request_error', message: 'There is no such page.' });
}
