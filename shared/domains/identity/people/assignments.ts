import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { created, noContent, ok, type NoContent, type Reply } from '../../../platform/call/reply.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { readExpiry } from '../key-grants.ts';
import { requireRoles } from '../roles/find-roles.ts';
import { requireHeld } from '../roles/require-held.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { lockLiveAssignments } from './live-assignments.ts';
import { lockManagers, requireOthersLeft } from './managers.ts';
import { noSuchMember } from './members.ts';
import { lockPerson } from './keepers.ts';
import type { Assignment, NewAssignment } from './person-schemas.ts';

type AssignmentRow = Omit<Assignment, 'status'> & { readonly [column: string]: unknown };

const COLUMNS = `a.user_id, a.role_name, a.source, a.expires_at, a.assigned_by, a.assigned_at, a.ended_by, a.ended_at`;

function present(row: AssignmentRow, now: Date): Assignment {
  const { ended_at: ended, expires_at: end } = row;
  if (ended !== null) return { ...row, status: 'ended' };
  return { ...row, status: end !== null && Date.parse(end) <= now.getTime() ? 'expired' : 'active' };
}

/**
 * A person's roles in the tenant, also the ended ones: each with what was last done to it. All that was ever done is in the audit
 * trail. Not in pages: a person has each role at most twice, and a tenant's roles are limited.
 * @throws Problem 404 for a person who never had a role here.
 */
export async function listAssignments(
  call: Call,
  userId: string,
): Promise<Reply<200, { items: Assignment[] }>> {
  const rows = await call.tenant.statement<AssignmentRow>(
    `select r.* from scope, lateral (
       select ${COLUMNS} from user_role_assignments a where a.tenant_id = scope.tenant_id and a.user_id = $2
        order by a.assigned_at desc, a.role_name, a.source offset 0) r`,
    [userId],
  );
  if (rows.length === 0) throw noSuchMember();
  return ok({ items: rows.map((row) => present(row, call.now)) });
}

/**
 * Gives a member a role, or changes when it ends. Who is no member is invited instead, so that nobody joins a tenant unasked.
 * @throws Problem 404; 400 for an unknown role or an end in the past; 403 for a role with permissions that the caller does not hold,
 * or not for so long; 409 if the last owner or operator would get an end.
 */
export async function assignRole(
  call: Call,
  userId: string,
  body: NewAssignment,
): Promise<Reply<200, Assignment> | Reply<201, Assignment>> {
  const { tenantId } = call.tenant;
  const until = readExpiry(call, body.expires_at);
  const reply = await performWrite<Reply<200, Assignment> | Reply<201, Assignment>>(
    call,
    async (transaction) => {
      await lockPerson(transaction, userId, 'shared');
      const managers = await lockManagers(transaction, tenantId, call.now);
      const live = await lockLiveAssignments(transaction, tenantId, userId, call.now);
      if (live.length === 0) throw noSuchMember();
      const gives = await requireRoles(transaction, tenantId, [body.role_name], () => '/role_name');
      await requireHeld(call, transaction, gives, until);
      const before = live.find(
        ({ role_name: name, source }) => name === body.role_name && source === 'assigned',
      );
      if (before?.expires_at === null && until !== null)
        requireOthersLeft(managers, userId, call.now, body.role_name);
      await requireActive(transaction, userId);
      const since = before === undefined ? call.now : null;
      const row = await writeAssignment(call, transaction, { userId, role: body.role_name, until, since });
      const audit = {
        action: before === undefined ? 'user.role_assigned' : 'user.role_changed',
        resource_type: 'user',
        resource_id: userId,
        details: { role: body.role_name, expires_at: until?.toISOString() ?? null },
      };
      const shown = present(row, call.now);
      return before === undefined
        ? { reply: created(`/api/v1/users/${userId}/roles/${body.role_name}`, shown), audit }
        : { reply: ok(shown), audit };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forgetPerson(userId);
  return reply;
}

/** @throws Problem 409 for a person whom an operator has deactivated. */
async function requireActive(transaction: TenantTransaction, userId: string): Promise<void> {
  const active = await transaction.query(`select 1 as one from users where user_id = $1 and is_active`, [
    userId,
  ]);
  if (active.length === 0) throw new Problem('CONFLICT', { detail: 'The person’s account is not active.' });
}

interface AssignmentToWrite {
  readonly userId: string;
  readonly role: string;
  /** Null: for good. */
  readonly until: Date | null;
  /** Null: since when the person already has it. */
  readonly since: Date | null;
}

async function writeAssignment(
  call: Call,
  transaction: TenantTransaction,
  { userId, role, until, since }: AssignmentToWrite,
): Promise<AssignmentRow> {
  const [row] = await transaction.query<AssignmentRow>(
    `insert into user_role_assignments as a (tenant_id, user_id, role_name, assigned_by, assigned_at, expires_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $5)
     on conflict (tenant_id, user_id, role_name, source) do update
       set assigned_by = excluded.assigned_by, assigned_at = coalesce($7, a.assigned_at),
           expires_at = excluded.expires_at, is_active = true, ended_at = null, ended_by = null, updated_at = excluded.updated_at
     returning ${COLUMNS}`,
    [call.tenant.tenantId, userId, role, call.principal.actor, call.now, until, since],
  );
  if (row === undefined) throw new Error('the role was not assigned');
  return row;
}

/**
 * Ends a role that somebody gave a member. With the last role, the person's membership and sessions here end too. Who ends a role must
 * hold what it gives: else the least of those who manage people could take everything from the owners. An owner holds all that a
 * tenant's roles can give, and so can end every one of them.
 * @throws Problem 404; 403; 409 for the last owner or operator, and for a role that the person's own organisation gives.
 */
export async function endAssignment(call: Call, userId: string, role: string): Promise<NoContent> {
  const { tenantId } = call.tenant;
  const { actor } = call.principal;
  const reply = await performWrite(
    call,
    async (transaction) => {
      const managers = await lockManagers(transaction, tenantId, call.now);
      const live = await lockLiveAssignments(transaction, tenantId, userId, call.now);
      const named = live.filter(({ role_name: name }) => name === role);
      const given = named.find(({ source }) => source === 'assigned');
      if (named.length === 0)
        throw new Problem('NOT_FOUND', { detail: 'The person does not have such a role in this tenant.' });
      if (given === undefined)
        throw new Problem('CONFLICT', {
          detail:
            'The person’s own organisation gives this role: it ends when the organisation’s tokens no longer name it.',
        });
      await requireHeld(call, transaction, given.permissions);
      if (given.expires_at === null) requireOthersLeft(managers, userId, call.now, role);
      await transaction.query(
        `update user_role_assignments set is_active = false, ended_at = $4, ended_by = $5, updated_at = $4
          where tenant_id = $1 and user_id = $2 and role_name = $3 and source = 'assigned' and is_active`,
        [tenantId, userId, role, call.now, actor],
      );
      if (live.length === 1) await endSessions(transaction, { userId, tenantId }, actor, call.now);
      return {
        reply: noContent,
        audit: {
          action: 'user.role_ended',
          resource_type: 'user',
          resource_id: userId,
          details: { role, is_member: live.length > 1 },
        },
      };
    },
    { beyondQuota: true },
  );
  call.services.credentials.forgetPerson(userId);
  return reply;
}
