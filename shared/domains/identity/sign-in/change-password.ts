import type { Call } from '../../../platform/call/call.ts';
import { noContent, type NoContent } from '../../../platform/call/reply.ts';
import { performPlatformWrite } from '../../../platform/writes/perform-write.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { provePassword, requireSession } from './own-account.ts';
import type { PasswordChange } from './schemas.ts';
import { setPassword } from './set-password.ts';

/**
 * `PUT /me/password`: sets a new password, and ends the person's other sessions in all tenants.
 * @throws Problem 400 for a wrong or a bad password.
 */
export async function changePassword(call: Call, body: PasswordChange): Promise<NoContent> {
  const person = requireSession(call);
  const requireProven = await provePassword(call, person, body.current_password, '/current_password');
  const reply = await performPlatformWrite(
    call,
    async (transaction) => {
      await requireProven(transaction);
      await setPassword(transaction, person.userId, body.new_password, call.now, '/new_password');
      const others = { userId: person.userId, except: person.sessionId };
      const ended = await endSessions(transaction, others, call.principal.actor, call.now);
      return {
        reply: noContent,
        audit: {
          action: 'password.changed',
          resource_type: 'user',
          resource_id: person.userId,
          details: { sessions_ended: ended.length },
        },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forgetPerson(person.userId);
  return reply;
}
