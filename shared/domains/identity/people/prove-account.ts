import type { Authenticator, CredentialRequest, Principal } from '../../../platform/auth/principal.ts';
import { SESSION_COOKIE } from '../../../platform/auth/session-token.ts';
import type { Origin } from '../../../platform/call/call.ts';
import { Problem, unauthorized } from '../../../platform/call/problem.ts';
import { count } from '../../../platform/telemetry/metrics.ts';
import {
  beginAttempt,
  failureOf,
  forgiveAttempt,
  isRightPassword,
  type Attempt,
} from '../sign-in/attempts.ts';
import { addEvents, personEvent, publishEntries } from '../sign-in/person-events.ts';
import type { SignInServices } from '../sign-in/sign-in-services.ts';
import type { Proof } from './accept-invitation.ts';

/** What the acceptance of an invitation needs. */
export type InvitationServices = SignInServices & { readonly authenticator: Authenticator };

/** What somebody sends who says that an account is theirs. */
export interface AccountClaim {
  readonly request: CredentialRequest;
  readonly password: string | undefined;
  readonly origin: Origin;
  readonly now: Date;
}

/**
 * Proves an account by the credential of a person who has signed in, or else by its password. A wrong password counts as at a sign-in,
 * with the same pauses.
 */
export function proveAccount(services: InvitationServices, claim: AccountClaim): Proof {
  const { password, now } = claim;
  return async (userId) => {
    const principal = await findPrincipal(services, claim);
    if (principal?.userId === userId) return { stands: () => Promise.resolve(true) };
    if (principal !== undefined)
      throw unauthorized('The invitation is for another account than the one that has signed in.');
    if (password === undefined)
      throw unauthorized('The address has an account: sign in with it, or send its password.');
    const { core } = services.crossTenant;
    const attempt = await beginAttempt(core, { userId }, now);
    if (attempt === undefined || !(await isRightPassword(core, attempt, password))) {
      await noteFailure(services, claim, userId, attempt);
      throw unauthorized('The address has an account, and this is not its password.');
    }
    await forgiveAttempt(core, attempt);
    return {
      stands: async (transaction) => {
        const rows = await transaction.query(
          `select 1 as one from users where user_id = $1 and password_hash = $2`,
          [userId, attempt.password_hash],
        );
        return rows.length === 1;
      },
    };
  };
}

/**
 * Who sends a credential; undefined without one. Browsers also send cookies that nobody chose: of others on the same host, and of a
 * session that is over. They must not stand in the way of a password.
 * @throws Problem 401, 403 as for any request, unless there is a password.
 */
async function findPrincipal(
  { authenticator }: InvitationServices,
  { request, password, now }: AccountClaim,
): Promise<Principal | undefined> {
  const { headers } = request;
  const isCookieOnly = headers.get('authorization') === null;
  if (isCookieOnly && headers.get('cookie')?.includes(SESSION_COOKIE) !== true) return undefined;
  try {
    return await authenticator.authenticate(request, now);
  } catch (error) {
    if (isCookieOnly && password !== undefined && error instanceof Problem) return undefined;
    throw error;
  }
}

/** Into the platform's trail: the person is no member of the tenant that invites. */
async function noteFailure(
  services: InvitationServices,
  { origin, now }: AccountClaim,
  userId: string,
  attempt: Attempt | undefined,
): Promise<void> {
  const reason = failureOf(attempt);
  count('sign_in_failures_total', { reason });
  const note = { userId, outcome: 'failure' as const };
  const isLock = (attempt?.locked_until ?? null) !== null;
  const notes = [
    { ...note, action: 'password_check.failed', details: { reason } },
    ...(isLock ? [{ ...note, action: 'user.locked' }] : []),
  ];
  const events = notes.map((one) => personEvent(one, origin, now));
  publishEntries(services, await addEvents(services.crossTenant.core, events, now));
}
