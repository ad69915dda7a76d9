import type { z } from 'zod';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import { readPlatformKeyset, when } from '../../../platform/db/keyset.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { positionIn } from '../../../platform/http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../../platform/http/pagination.ts';
import { auditEvent, type AuditNote } from '../../../platform/writes/caused-events.ts';
import { performPlatformWrite } from '../../../platform/writes/perform-write.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { isNeeded, managersOf } from './managers.ts';
import { lockKeepers, lockPerson, tenantsKeptBy } from './keepers.ts';
import type { PlatformUser, PlatformUserDetail, platformUsersQuery } from './person-schemas.ts';
import { personStatus, statusConditions } from './person-status.ts';

// A person belongs to several tenants, and operators look after people in all of them: so all of this crosses tenants.

type PersonRow = Omit<PlatformUser, 'status'> & {
  readonly [column: string]: unknown;
  readonly is_active: boolean;
};

const COLUMNS = `u.user_id, u.email, u.first_name, u.last_name, u.is_active, u.is_verified, u.locked_until, u.last_login_at, u.created_at,
  u.updated_at`;

function present({ is_active: active, ...row }: PersonRow, now: Date): PlatformUser {
  return { ...row, status: personStatus({ is_active: active, locked_until: row.locked_until }, now) };
}

/** A page of all people. */
export function listPlatformUsers(
  call: Call,
  query: z.output<typeof platformUsersQuery>,
  url: string,
): Promise<Reply<200, Page<PlatformUser>>> {
  const list = {
    table: 'users u',
    columns: COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'user_id',
    idType: 'uuid',
    conditions: [...when('u.email = ?', query.email), ...statusConditions(query.status, call.now)],
  } as const;
  const scope = cursorScope(call, query);
  return pageReply(scope, url, readPage(scope, query), {
    read: async (step) => {
      const rows = await readPlatformKeyset<PersonRow>(call.services.crossTenant.core, list, step);
      return rows.map((row) => present(row, call.now));
    },
    positionOf: positionIn(list),
  });
}

/**
 * A person, with the tenants where they have a role.
 * @throws Problem 404.
 */
export async function readPlatformUser(call: Call, userId: string): Promise<Reply<200, PlatformUserDetail>> {
  const { core } = call.services.crossTenant;
  return ok(await readDetail(core, userId, call.now));
}

type Queries = Pick<CrossTenantTransaction, 'query'>;

async function readDetail(queries: Queries, userId: string, now: Date): Promise<PlatformUserDetail> {
  const [row] = await queries.query<PersonRow>(`select ${COLUMNS} from users u where u.user_id = $1`, [
    userId,
  ]);
  if (row === undefined) throw noSuchPerson();
  const tenants = await queries.query<{ tenant_id: string; roles: string[] }>(
    `select a.tenant_id, json_agg(distinct a.role_name) as roles from user_role_assignments a
      where a.user_id = $1 and a.is_active and (a.expires_at is null or a.expires_at > $2) group by a.tenant_id order by a.tenant_id`,
    [userId, now],
  );
  return { ...present(row, now), tenants };
}

function noSuchPerson(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such person.' });
}

/**
 * Deactivates a person in every tenant. All their sessions end, and the keys that they made have no permissions.
 * @throws Problem 404; 409 that names the tenants whose last owner, operator or manager of keys it is.
 */
export function deactivateUser(call: Call, userId: string): Promise<Reply<200, PlatformUserDetail>> {
  return changePerson(call, userId, 'deactivated', async (transaction) => {
    await requireNotNeeded(call, transaction, userId);
    await transaction.query(
      `update users set is_active = false, updated_at = $2, version = version + 1 where user_id = $1 and is_active`,
      [userId, call.now],
    );
    await endSessions(transaction, { userId }, call.principal.actor, call.now);
  });
}

/**
 * Lets a deactivated person sign in again, with the roles that they still have.
 * @throws Problem 404.
 */
export function reactivateUser(call: Call, userId: string): Promise<Reply<200, PlatformUserDetail>> {
  return changePerson(call, userId, 'reactivated', async (transaction) => {
    await transaction.query(
      `update users set is_active = true, updated_at = $2, version = version + 1 where user_id = $1 and not is_active`,
      [userId, call.now],
    );
  });
}

/**
 * Ends the pause after failed sign-ins. All sessions end too: if somebody else has guessed, they are out.
 * @throws Problem 404.
 */
export function unlockUser(call: Call, userId: string): Promise<Reply<200, PlatformUserDetail>> {
  return changePerson(call, userId, 'unlocked', async (transaction) => {
    await transaction.query(
      `update users set failed_sign_ins = 0, locked_until = null, updated_at = $2, version = version + 1 where user_id = $1`,
      [userId, call.now],
    );
    await endSessions(transaction, { userId }, call.principal.actor, call.now);
  });
}

/** Changes a person and tells it in the platform's trail and in that of each tenant where the person has a role. */
async function changePerson(
  call: Call,
  userId: string,
  what: string,
  change: (transaction: CrossTenantTransaction) => Promise<void>,
): Promise<Reply<200, PlatformUserDetail>> {
  const reply = await performPlatformWrite<Reply<200, PlatformUserDetail>>(call, async (transaction) => {
    await lockPerson(transaction, userId, 'exclusive');
    const [person] = await transaction.query(`select 1 as one from users where user_id = $1 for update`, [
      userId,
    ]);
    if (person === undefined) throw noSuchPerson();
    await change(transaction);
    const detail = await readDetail(transaction, userId, call.now);
    const audit: AuditNote = { action: `user.${what}`, resource_type: 'user', resource_id: userId };
    const others = detail.tenants.filter(({ tenant_id: id }) => id !== PLATFORM_TENANT);
    return {
      reply: ok(detail),
      audit,
      events: others.map(({ tenant_id }) => auditEvent(call, { ...audit, tenant_id })),
    };
  });
  call.services.credentials.forgetPerson(userId);
  return reply;
}

/** @throws Problem 409 that names every tenant that cannot do without the person. */
async function requireNotNeeded(
  call: Call,
  transaction: CrossTenantTransaction,
  userId: string,
): Promise<void> {
  const tenantIds = await tenantsKeptBy(transaction, userId);
  const all = await lockKeepers(transaction, tenantIds);
  const needed: string[] = [];
  for (const tenantId of tenantIds) {
    const keepers = all.filter(({ tenant_id: id }) => id === tenantId);
    const managers = await managersOf(transaction, tenantId, keepers, call.now);
    if (isNeeded({ keepers, managers }, userId, call.now)) needed.push(tenantId);
  }
  if (needed.length > 0)
    throw new Problem('CONFLICT', {
      detail: `The person is the last owner, the last operator, or the last one who manages keys, of: ${needed.join(', ')}. First give another one the role.`,
    });
}
