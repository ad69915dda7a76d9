import { z } from 'zod';
import { TOKEN_ALGORITHMS, type IdentityProvider } from '../../../platform/auth/identity-provider.ts';

const PROVIDERS_MAX = 10;
const RULES_MAX = 100;

/** Text that can be compared and stored as it is. */
const plain = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[\x21-\x7e]+( [\x21-\x7e]+)*$/, 'must be printable ASCII');

const roleName = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/, 'must be the name of a role');
/** A claim's name may be a URL. */
const claimName = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'must be printable ASCII without spaces')
  .refine((name) => name !== '__proto__', { message: 'is not the name of a claim' });

/** An address, as far as its text tells. Where it may lead depends on the deployment, see `provider-check.ts`. */
const address = z
  .string()
  .max(500)
  .regex(/^https?:\/\/[\x21-\x7e]+$/, 'must begin with https://')
  .refine((text) => URL.canParse(text), { message: 'must be a URL' });

const provider = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, “-” and “_”')
    .describe('Names it in these settings and in the audit trail.'),
  issuer: address
    .refine((text) => !/[?#]/.test(text), { message: 'must have no query and no fragment' })
    .describe('Exactly as in the tokens’ `iss`: with and without a slash at its end are two issuers.'),
  audience: plain(500).describe('What the tokens’ `aud` must contain.'),
  tid: plain(100).optional().describe('The Entra directory that the tokens’ `tid` must name.'),
  algorithms: z
    .array(z.enum(TOKEN_ALGORITHMS))
    .min(1)
    .max(TOKEN_ALGORITHMS.length)
    .describe('The algorithms that a signature may have, whatever a token’s header says.'),
  jwks_uri: address.optional().describe('Where its keys are; left out, what its discovery document says.'),
  role_claim: claimName.default('roles').describe('The claim with the caller’s roles: a text or a list.'),
  role_mapping: z
    .array(z.strictObject({ value: plain(200), role: roleName }))
    .max(RULES_MAX)
    .describe('The role that a value of that claim gives.'),
  services: z
    .array(z.strictObject({ subject: plain(200), role: roleName }))
    .max(RULES_MAX)
    .default([])
    .describe(
      'Roles of services by their `oid`, `sub` or `azp`, for issuers that give services no role claim.',
    ),
  subject_claim: claimName
    .default('sub')
    .describe(
      'The claim that tells people apart. For Entra ID, `oid`: its `sub` is another one for each app.',
    ),
});

/** A tenant's identity providers, in its settings. */
export const identityProviders = z
  .array(provider)
  .max(PROVIDERS_MAX)
  .refine((list) => isUnique(list.map(({ name }) => name)), { message: 'must have different names' })
  .refine((list) => isUnique(list.map(({ issuer }) => issuer)), { message: 'must have different issuers' });

/**
 * The same, for stored settings. One that this build does not understand is left out, because a rule that it does not know might
 * be a restriction.
 */
export const storedIdentityProviders = z
  .array(z.unknown())
  .catch([])
  .transform((list) =>
    list.flatMap((one) => {
      const read = provider.safeParse(one);
      return read.success ? [read.data] : [];
    }),
  );

function isUnique(names: readonly string[]): boolean {
  return new Set(names).size === names.length;
}

/**
 * Who vouches for a person's subject. The same issuer and claim mean the same person in every tenant. But a tenant that names the
 * keys itself could sign tokens with anyone's subject, so its people are only its own: three parts with its id, where others have one or
 * two, so that no name of a claim can pass for a tenant's.
 */
export function authorityOf(tenantId: string, { issuer, jwks_uri, subject_claim }: IdentityProvider): string {
  if (jwks_uri !== undefined) return `${issuer} ${subject_claim} ${tenantId}`;
  return subject_claim === 'sub' ? issuer : `${issuer} ${subject_claim}`;
}

/** SQL: whether an authority is that of a tenant which names the keys itself. */
export function isOwnAuthoritySql(authority: string, tenantId: string): string {
  return `split_part(${authority}, ' ', 3) = ${tenantId}`;
}
