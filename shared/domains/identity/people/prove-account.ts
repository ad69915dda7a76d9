import type { Authenticator, CredentialRequest } from '../../../platform/auth/principal.ts';
import type { Origin } from '../../../platform/call/call.ts';
import { unauthorized } from '../../../platform/call/problem.ts';
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
  const { request, password, now } = claim;
  return async (userId) => {
    if (['authorization', 'cookie'].some((name) => request.headers.get(name) !== null)) {
      const principal = await services.authenticator.authenticate(request, now);
      if (principal.userId === userId) return { stands: () => Promise.resolve(true) };
      throw unauthorized('The invitation is for another account than the one that has signed in.');
    }
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
