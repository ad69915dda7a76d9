import type { errors as errorsOfJose } from 'jose';
import type { IdentityProvider } from '../../../platform/auth/identity-provider.ts';
import { readClaims, type TokenClaims } from './claims.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { KeysUnavailable } from './issuer-keys.ts';
import { loadJose } from './load-jose.ts';
import { TokenRefused, type TokenFault } from './token-refused.ts';

/** Clocks of two organisations differ by less. */
export const LEEWAY_S = 60;

/** Types of tokens that say who calls (RFC 9068, RFC 7519). Others, of a logout for example, are none. */
const TYPES: ReadonlySet<unknown> = new Set([undefined, 'jwt', 'at+jwt', 'application/at+jwt']);

/**
 * Checks a token of a provider: its signature first, then its claims.
 * @throws TokenRefused, KeysUnavailable.
 */
export async function verifyToken(
  token: string,
  provider: IdentityProvider,
  keys: IssuerKeys,
  now: Date,
): Promise<TokenClaims> {
  const { jwtVerify, errors } = await loadJose();
  const { payload, protectedHeader } = await jwtVerify(token, (header, parts) => keys.find(header, parts), {
    algorithms: [...provider.algorithms],
    issuer: provider.issuer,
    audience: provider.audience,
    clockTolerance: LEEWAY_S,
    currentDate: now,
    requiredClaims: ['exp', 'iat', 'sub'],
  }).catch((error: unknown) => {
    if (error instanceof KeysUnavailable) throw error;
    throw new TokenRefused(faultOf(error, errors));
  });
  if (!TYPES.has(protectedHeader.typ?.toLowerCase())) throw new TokenRefused('claims');
  const claims = readClaims(payload);
  if (provider.tid !== undefined && claims.tid !== provider.tid) throw new TokenRefused('directory');
  // A token of the future would stay the newest one, and later ones could not take its roles away.
  if (claims.iat > Math.floor(now.getTime() / 1000) + LEEWAY_S) throw new TokenRefused('not_yet_valid');
  return claims;
}

/** Only errors of claims come after the check of the signature. */
function faultOf(error: unknown, errors: typeof errorsOfJose): TokenFault {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'signature';
  if (error.claim === 'nbf' && error.reason === 'check_failed') return 'not_yet_valid';
  return error.claim === 'aud' ? 'audience' : 'claims';
}
