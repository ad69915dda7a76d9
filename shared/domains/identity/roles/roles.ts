import type { z } from 'zod';
import { knownPermissions } from '../../../platform/auth/permissions.ts';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import {
  created,
  noContent,
  notModified,
  ok,
  type NoContent,
  type NotModified,
  type Reply,
} from '../../../platform/call/reply.ts';
import { when, readKeyset, type KeysetList } from '../../../platform/db/keyset.ts';
import { json, type TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { etagOf, isNotModified, requireIfMatch, versionConflict } from '../../../platform/http/etag.ts';
import { positionIn } from '../../../platform/http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../../platform/http/pagination.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { requireHeld } from './require-held.ts';
import { requireRoleUnused } from './role-uses.ts';
import type { ChangedRole, NewRole, Role, rolesQuery } from './role-schemas.ts';

const AUDIT_TYPE = 'role';
/** More than a tenant can tell apart. A person's roles are read at each look-up of a session. */
const OWN_ROLES_MAX = 100;

type RoleRow = Omit<Role, 'etag' | 'permissions'> & {
  readonly tenant_id: string;
  readonly permissions: unknown;
  readonly version: number;
};

const COLUMNS = `r.tenant_id, r.role_name, r.description, r.permissions, r.is_system_role, r.created_at, r.updated_at, r.version`;
/** The tenant's own roles, and those of every tenant. */
const VISIBLE = `r.tenant_id in (scope.tenant_id, '${PLATFORM_TENANT}')`;

function present({ tenant_id: _owner, version, permissions, ...row }: RoleRow): Role {
  return { ...row, permissions: [...knownPermissions(permissions)], etag: etagOf(version) };
}

/** A page of the roles that people of the tenant can have: the seeded ones and its own. */
export function listRoles(
  call: Call,
  query: z.output<typeof rolesQuery>,
  url: string,
): Promise<Reply<200, Page<Role>>> {
  const list: KeysetList = {
    table: 'user_roles r',
    columns: COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'role_name',
    idType: 'text',
    tenantColumn: null,
    where: VISIBLE,
    conditions: when('r.is_system_role = ?', query.is_system_role),
  };
  const scope = cursorScope(call, query);
  return pageReply(scope, url, readPage(scope, query), {
    read: async (step) => (await readKeyset<RoleRow>(call.tenant, list, step)).map(present),
    positionOf: positionIn(list),
  });
}

/**
 * One role.
 * @throws Problem 404.
 */
export async function readRole(
  call: Call,
  name: string,
  ifNoneMatch: string | null,
): Promise<Reply<200, Role> | NotModified> {
  const [row] = await call.tenant.statement<RoleRow>(
    `select r.* from scope, lateral (select ${COLUMNS} from user_roles r where ${VISIBLE} and r.role_name = $2 offset 0) r`,
    [name],
  );
  if (row === undefined) throw noSuchRole();
  const headers = { etag: etagOf(row.version) };
  return isNotModified(ifNoneMatch, row.version) ? notModified(headers) : ok(present(row), headers);
}

/**
 * Makes a role of the tenant's own.
 * @throws Problem 403 for a permission that the caller does not hold for good; 409 for a name that is taken, also by a role of every
 * tenant.
 */
export function createRole(call: Call, body: NewRole): Promise<Reply<201, Role>> {
  refusePlatform(call);
  return performWrite(call, async (transaction) => {
    await requireHeld(call, transaction, body.permissions, null);
    const [taken] = await transaction.query<{ own: number; seeded: boolean }>(
      `select (select count(*) from user_roles where tenant_id = $1) as own,
              exists (select from user_roles where tenant_id = '${PLATFORM_TENANT}' and role_name = $2) as seeded`,
      [call.tenant.tenantId, body.role_name],
    );
    if (taken?.seeded === true)
      throw new Problem('CONFLICT', { detail: 'Every tenant has a role of this name.' });
    if ((taken?.own ?? 0) >= OWN_ROLES_MAX)
      throw new Problem('CONFLICT', { detail: `A tenant has at most ${OWN_ROLES_MAX} roles of its own.` });
    const [row] = await transaction.query<RoleRow>(
      `insert into user_roles as r (tenant_id, role_name, description, permissions, created_at, updated_at)
       values ($1, $2, $3, $4, $5, $5) on conflict do nothing returning ${COLUMNS}`,
      [call.tenant.tenantId, body.role_name, body.description, json(body.permissions), call.now],
    );
    if (row === undefined) throw new Problem('CONFLICT', { detail: 'There is a role of this name.' });
    return {
      reply: created(`/api/v1/roles/${row.role_name}`, present(row), { etag: etagOf(row.version) }),
      audit: auditOf('role.created', row.role_name, { permissions: body.permissions }),
    };
  });
}

/**
 * Replaces a role of the tenant's own. People who have it are read again at once here, and on other instances within a second or two;
 * without Redis within the four seconds for which sessions and keys are remembered.
 * @throws Problem 403 if it had or gets a permission that the caller does not hold for good, and for a role of every tenant; 404;
 * 412 when another change was faster.
 */
export async function replaceRole(
  call: Call,
  name: string,
  body: ChangedRole,
  ifMatch: string | null,
): Promise<Reply<200, Role>> {
  const matches = requireIfMatch(ifMatch);
  refusePlatform(call);
  let holders: readonly string[] = [];
  const reply = await performWrite<Reply<200, Role>>(
    call,
    async (transaction) => {
      const before = await lockOwnRole(call, transaction, name);
      if (!matches(before.version)) throw versionConflict();
      const had = knownPermissions(before.permissions);
      await requireHeld(call, transaction, had);
      await requireHeld(
        call,
        transaction,
        body.permissions.filter((permission) => !had.has(permission)),
        null,
      );
      const [row] = await transaction.query<RoleRow>(
        `update user_roles r set description = $3, permissions = $4, updated_at = $5, version = version + 1
          where r.tenant_id = $1 and r.role_name = $2 returning ${COLUMNS}`,
        [call.tenant.tenantId, name, body.description, json(body.permissions), call.now],
      );
      if (row === undefined) throw new Error('a row that is locked was not written');
      holders = await holdersOf(call, transaction, name);
      return {
        reply: ok(present(row), { etag: etagOf(row.version) }),
        audit: auditOf('role.replaced', name, { before: [...had], permissions: body.permissions }),
      };
    },
    { beyondQuota: true },
  );
  for (const userId of holders) call.services.credentials.forgetPerson(userId);
  return reply;
}

/**
 * Deletes a role of the tenant's own that nobody has.
 * @throws Problem 409 while somebody has it, a pending invitation names it, or the tenant's settings map claims to it; 403 for a role
 * with permissions that the caller does not hold, and for a role of every tenant; 404; 412.
 */
export function deleteRole(call: Call, name: string, ifMatch: string | null): Promise<NoContent> {
  const matches = requireIfMatch(ifMatch);
  refusePlatform(call);
  return performWrite(
    call,
    async (transaction) => {
      const row = await lockOwnRole(call, transaction, name);
      if (!matches(row.version)) throw versionConflict();
      await requireHeld(call, transaction, knownPermissions(row.permissions));
      await requireRoleUnused(call, transaction, name);
      await transaction.query(`delete from user_roles where tenant_id = $1 and role_name = $2`, [
        call.tenant.tenantId,
        name,
      ]);
      return { reply: noContent, audit: auditOf('role.deleted', name) };
    },
    { beyondQuota: true },
  );
}

function auditOf(action: string, name: string, details: Readonly<Record<string, unknown>> = {}) {
  return { action, resource_type: AUDIT_TYPE, resource_id: name, details };
}

/** The rows of the platform's tenant are every tenant's roles. */
function refusePlatform(call: Call): void {
  if (call.tenant.tenantId === PLATFORM_TENANT) throw seededRole();
}

function seededRole(): Problem {
  return new Problem('INSUFFICIENT_RBAC', {
    detail: 'It is a role of every tenant: only a release of this service changes it.',
  });
}

function noSuchRole(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such role.' });
}

async function lockOwnRole(call: Call, transaction: TenantTransaction, name: string): Promise<RoleRow> {
  const [row] = await transaction.query<RoleRow>(
    `select ${COLUMNS} from user_roles r where r.tenant_id = $1 and r.role_name = $2 for update`,
    [call.tenant.tenantId, name],
  );
  if (row !== undefined) return row;
  const seeded = await transaction.query(
    `select 1 as one from user_roles where tenant_id = '${PLATFORM_TENANT}' and role_name = $1`,
    [name],
  );
  throw seeded.length > 0 ? seededRole() : noSuchRole();
}

async function holdersOf(call: Call, transaction: TenantTransaction, name: string): Promise<string[]> {
  const rows = await transaction.query<{ user_id: string }>(
    `select distinct user_id from user_role_assignments where tenant_id = $1 and role_name = $2 and is_active`,
    [call.tenant.tenantId, name],
  );
  return rows.map(({ user_id }) => user_id);
}
