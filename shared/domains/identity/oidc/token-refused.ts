import type { RefusalReason } from '../refused-credential.ts';

/** What is wrong with a token, for the audit trail. No text of the token. */
export type TokenFault =
  | 'no_tenant'
  | 'not_a_token'
  | 'too_large'
  | 'not_trusted'
  | 'signature'
  | 'expired'
  | 'not_yet_valid'
  | 'audience'
  | 'directory'
  | 'claims'
  | 'not_active'
  | 'no_role';

/** The same for all that is wrong before the signature is checked: nobody learns from it which issuers a tenant believes. */
const NOT_ACCEPTED = 'The token is none that this tenant accepts.';

const FAULTS: Readonly<Record<TokenFault, readonly [RefusalReason, string]>> = {
  no_tenant: [
    'missing',
    'A token of an identity provider also needs the header X-Tenant-Id: it says in which tenant.',
  ],
  not_a_token: ['malformed', 'The credential is not a token of an identity provider.'],
  too_large: ['malformed', 'The token is too large.'],
  not_trusted: ['unknown', NOT_ACCEPTED],
  signature: ['unknown', NOT_ACCEPTED],
  expired: ['expired', 'The token has expired.'],
  not_yet_valid: ['expired', 'The token is not valid yet.'],
  audience: ['unknown', 'The token is for another audience.'],
  directory: ['unknown', 'The token is of another directory.'],
  claims: ['malformed', 'The token lacks a claim that is needed, or has one of another form.'],
  not_active: ['inactive', 'The person’s account is not active.'],
  no_role: ['inactive', 'The token gives no role in this tenant, and nobody has given one.'],
};

/** A token that is refused, with the reason. */
export class TokenRefused extends Error {
  override name = 'TokenRefused';
  readonly fault: TokenFault;
  readonly reason: RefusalReason;
  readonly detail: string;
  constructor(fault: TokenFault) {
    super(fault);
    [this.reason, this.detail] = FAULTS[fault];
    this.fault = fault;
  }
}
