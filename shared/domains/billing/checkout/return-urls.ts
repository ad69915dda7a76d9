import type { Call } from '../../../platform/call/call.ts';
import { Problem, type Fault } from '../../../platform/call/problem.ts';

/** Stripe puts the session's id here in a success address. In a path, a URL's braces are escaped. */
const TEMPLATE = /%7BCHECKOUT_SESSION_ID%7D/gi;

/**
 * The addresses that a page at Stripe sends a person back to, as the parser writes them: a browser and Stripe then read the same.
 * @throws Problem 400 for an address whose origin is not configured.
 */
export function checkReturnUrls<Name extends string>(
  call: Call,
  given: Readonly<Record<Name, string>>,
): Record<Name, string> {
  const origins = call.services.settings.BILLING_RETURN_ORIGINS;
  const faults: Fault[] = [];
  const checked = Object.entries<string>(given).map(([name, text]) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const isAllowed = url?.username === '' && url.password === '' && origins.includes(url.origin);
    if (!isAllowed)
      faults.push({ pointer: `/${name}`, detail: 'must be an address of an origin that is allowed here' });
    return [name, url?.href.replace(TEMPLATE, '{CHECKOUT_SESSION_ID}') ?? ''];
  });
  if (faults.length > 0) throw new Problem('INVALID_REQUEST', { errors: faults });
  // The same names as were given.
  return Object.fromEntries(checked) as Record<Name, string>;
}
