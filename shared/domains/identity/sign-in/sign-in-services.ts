import type { AddressLimit, AddressLimiter } from '../../../platform/http/address-limit.ts';
import type { CallServices } from '../../../platform/call/call.ts';

/** What the routes without a caller need. */
export type SignInServices = Pick<
  CallServices,
  'settings' | 'clock' | 'crossTenant' | 'tenants' | 'dataKeys' | 'publisher' | 'credentials'
> & { readonly addressLimiter: Pick<AddressLimiter, 'require' | 'take'> };

/** Attempts to sign in from one address: an office behind one address signs in, a list of passwords does not. */
export const SIGN_IN_LIMIT: AddressLimit = { of: 'sign-in', points: 30, seconds: 300 };
/** Requests for mails, and uses of their tokens, from one address. */
export const TOKEN_LIMIT: AddressLimit = { of: 'one-time-tokens', points: 30, seconds: 300 };
/** Mails to one person. */
export const MAIL_LIMIT: AddressLimit = { of: 'mails', points: 5, seconds: 3_600 };
