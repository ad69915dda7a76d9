import type { Origin } from '../../../platform/call/call.ts';
import type { Reply } from '../../../platform/call/reply.ts';
import { TOKEN_LIMIT } from '../sign-in/sign-in-services.ts';
import { acceptInvitation, type ErasureCheck } from './accept-invitation.ts';
import type { Acceptance, Accepted } from './invitation-schemas.ts';
import { proveAccount, type InvitationServices } from './prove-account.ts';

/** A request to accept. */
interface AcceptInput {
  readonly body: Acceptance;
  readonly header: (name: string) => string | null;
  readonly origin: Origin;
  readonly isBeingErased: ErasureCheck;
}

/**
 * Answers `POST /invitations/accept`.
 * @throws Problem 429 for an address that has tried too often; what {@link acceptInvitation} throws.
 */
export async function answerInvitation(
  services: InvitationServices,
  { body, header, origin, isBeingErased }: AcceptInput,
): Promise<Reply<200, Accepted>> {
  await services.addressLimiter.require(TOKEN_LIMIT, origin.ip);
  const now = services.clock.now();
  const prove = proveAccount(services, {
    request: { method: 'POST', headers: { get: header } },
    password: body.password,
    origin,
    now,
  });
  return acceptInvitation(services, { body, origin, now, prove, isBeingErased });
}
