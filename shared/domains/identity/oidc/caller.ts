import { z } from 'zod';
import type { IdentityProvider } from '../../../platform/auth/identity-provider.ts';
import type { TokenClaims } from './claims.ts';
import { TokenRefused } from './token-refused.ts';

/** Whom a token names, and the roles that it gives. */
export interface TokenCaller {
  readonly kind: 'person' | 'service';
  /** The person's subject, or the service's id. */
  readonly subject: string;
  readonly roles: readonly string[];
}

const subjectText = z
  .string()
  .regex(/^[\x21-\x7e]+( [\x21-\x7e]+)*$/)
  .max(255);

/**
 * Finds out whom a token names.
 * @throws TokenRefused for a person without the provider's subject claim.
 */
export function callerOf(claims: TokenClaims, provider: IdentityProvider): TokenCaller {
  const mapped = mappedRoles(claims, provider);
  if (!isService(claims, provider)) {
    const subject = subjectText.safeParse(claimOf(claims, provider.subject_claim));
    if (!subject.success) throw new TokenRefused('claims');
    return { kind: 'person', subject: subject.data, roles: mapped };
  }
  const ids = new Set([claims.oid, claims.sub, clientOf(claims)]);
  const listed = provider.services.filter(({ subject }) => ids.has(subject)).map(({ role }) => role);
  return {
    kind: 'service',
    subject: claims.oid ?? clientOf(claims) ?? claims.sub,
    roles: [...new Set([...mapped, ...listed])],
  };
}

/** The application that asked for the token: `azp` in OpenID Connect and Entra's v2, `appid` in v1, `client_id` in RFC 9068. */
function clientOf({ azp, appid, client_id }: TokenClaims): string | undefined {
  return azp ?? appid ?? client_id;
}

/**
 * Entra says it in `idtyp`, if the application asks for that claim. Otherwise a token is a service's if it names nobody but the
 * application, or if the tenant lists its subject as a service.
 */
function isService(claims: TokenClaims, provider: IdentityProvider): boolean {
  const { idtyp, sub, oid, scp } = claims;
  if (idtyp !== undefined) return idtyp === 'app';
  if ([claims.azp, claims.appid, claims.client_id].includes(sub)) return true;
  if (scp !== undefined) return false;
  return oid === sub || provider.services.some(({ subject }) => subject === sub || subject === oid);
}

function claimOf(claims: TokenClaims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

function mappedRoles(claims: TokenClaims, { role_claim, role_mapping }: IdentityProvider): readonly string[] {
  const given = claimOf(claims, role_claim);
  const values: ReadonlySet<unknown> = new Set(Array.isArray(given) ? given : [given]);
  return [...new Set(role_mapping.filter(({ value }) => values.has(value)).map(({ role }) => role))];
}
