import type { Call } from '../../../platform/call/call.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { performPlatformWrite } from '../../../platform/writes/perform-write.ts';
import { findMemberships } from './memberships.ts';
import { requireSession } from './own-account.ts';
import type { Me, NamesBody, Person } from './schemas.ts';

/** `GET /me`: who calls, where, with which permissions and until when. */
export async function readMe(call: Call): Promise<Reply<200, Me>> {
  const { principal, context } = call;
  const here = { tenant_id: context.tenantId, name: context.name };
  const { userId } = principal;
  return ok<Me>({
    kind: principal.kind,
    actor: principal.actor,
    user: userId === null ? null : await readPerson(call, userId),
    tenant_id: here.tenant_id,
    tenant_name: here.name,
    session_id: principal.sessionId,
    roles: [...principal.roles],
    permissions: [...principal.permissions].sort(),
    permissions_until: principal.permissionsUntil?.toISOString() ?? null,
    expires_at: principal.expiresAt?.toISOString() ?? null,
    // A token of an organisation's own provider speaks for the person there only.
    tenants:
      userId !== null && principal.kind === 'session'
        ? await findMemberships(call.services.crossTenant.core, call.services.tenants, userId, call.now)
        : [here],
  });
}

async function readPerson(call: Call, userId: string): Promise<Person | null> {
  const [person] = await call.services.crossTenant.core.query<Person & Record<string, unknown>>(
    `select u.user_id, u.email, u.first_name, u.last_name, u.is_verified, u.password_hash is not null as has_password,
            exists (select from ops.user_totp t where t.user_id = u.user_id and t.confirmed_at is not null) as has_totp,
            (select count(*)::int from ops.recovery_codes c where c.user_id = u.user_id and c.used_at is null)
              as recovery_codes_left
       from users u where u.user_id = $1`,
    [userId],
  );
  return person ?? null;
}

/** `PUT /me`: the person's names. */
export async function replaceNames(call: Call, body: NamesBody): Promise<Reply<200, Me>> {
  const { userId } = requireSession(call);
  await performPlatformWrite(
    call,
    async (transaction) => {
      await transaction.query(
        `update users set first_name = $2, last_name = $3, updated_at = $4, version = version + 1 where user_id = $1`,
        [userId, body.first_name, body.last_name, call.now],
      );
      return {
        reply: ok<null>(null),
        audit: { action: 'user.renamed', resource_type: 'user', resource_id: userId },
      };
    },
    { beyondQuota: true },
  );
  return readMe(call);
}
