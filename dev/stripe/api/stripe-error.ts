/** The `error` of an answer, as Stripe documents it. */
export interface ErrorBody {
  readonly type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error';
  readonly message: string;
  readonly code?: string;
  readonly param?: string;
  readonly decline_code?: string;
  /** The payment intent that was declined, and what else Stripe puts beside it. */
  readonly payment_intent?: object;
  readonly payment_method?: object;
  readonly charge?: string;
}

interface ErrorOptions {
  /** What was put before the throw stays: a declined payment leaves a failed charge and its events. */
  readonly keepsChanges?: boolean;
}

/** An answer that is an error; thrown by a route's `run`, it undoes what the route has put, unless it `keepsChanges`. */
export class StripeError extends Error {
  readonly status: number;
  readonly body: ErrorBody;
  readonly keepsChanges: boolean;

  constructor(status: number, body: ErrorBody, { keepsChanges = false }: ErrorOptions = {}) {
    super(body.message);
    this.name = 'StripeError';
    this.status = status;
    this.body = body;
    this.keepsChanges = keepsChanges;
  }
}

/** 400: the request is at fault. `param` is written as the client sent it, `items[0][price]`. */
export function invalidRequest(
  message: string,
  details: { code?: string; param?: string } = {},
): StripeError {
  return new StripeError(400, { type: 'invalid_request_error', message, ...details });
}

/** 404 for what the path names, 400 for what a parameter names. */
export function noSuchObject(noun: string, id: string, param?: string): StripeError {
  return new StripeError(param === undefined ? 404 : 400, {
    type: 'invalid_request_error',
    code: 'resource_missing',
    message: `No such ${noun.replaceAll(/[._]/g, ' ')}: '${id}'`,
    param: param ?? 'id',
  });
}

/** 501: Stripe can do it, this stand-in cannot. Clients are told not to try again. */
export function notInStandIn(what: string, param?: string): StripeError {
  return new StripeError(501, {
    type: 'api_error',
    code: 'not_in_stand_in',
    message: `The local stand-in for Stripe does not do ${what}; see dev/stripe/README.md.`,
    ...(param === undefined ? {} : { param }),
  });
}
