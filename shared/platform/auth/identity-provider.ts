/** Algorithms of signatures that a token may have. All are asymmetric: whoever can check a signature cannot make one. */
export const TOKEN_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

/** An identity provider whose tokens a tenant accepts, and what they allow there. */
export interface IdentityProvider {
  /** Its name in the tenant's settings. */
  readonly name: string;
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string;
  readonly audience: string;
  /** The Entra directory (`tid`) that tokens must name. */
  readonly tid?: string | undefined;
  readonly algorithms: readonly TokenAlgorithm[];
  /** Where its keys are. The default is what its discovery document says. */
  readonly jwks_uri?: string | undefined;
  readonly role_claim: string;
  readonly role_mapping: readonly { readonly value: string; readonly role: string }[];
  readonly services: readonly { readonly subject: string; readonly role: string }[];
  readonly subject_claim: string;
}

/** All roles that a provider can give. */
export function rolesOf({ role_mapping, services }: IdentityProvider): readonly string[] {
  return [...new Set([...role_mapping, ...services].map(({ role }) => role))];
}
