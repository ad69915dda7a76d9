import type { z } from 'zod';
import { hashToken } from '../../../platform/auth/session-token.ts';
import {
  newEvent,
  USER_INVITED,
  type CloudEvent,
  type UserInvitedData,
} from '../../../platform/bus/events.ts';
import type { Call } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { created, noContent, ok, type NoContent, type Reply } from '../../../platform/call/reply.ts';
import { readKeyset, when, type Condition, type KeysetList } from '../../../platform/db/keyset.ts';
import type { TenantTransaction } from '../../../platform/db/tenant-database.ts';
import { positionIn } from '../../../platform/http/list-reply.ts';
import { cursorScope, pageReply, readPage, type Page } from '../../../platform/http/pagination.ts';
import { newId, randomToken } from '../../../platform/ids/ids.ts';
import { DAY_MS } from '../../../platform/time/clock.ts';
import { performWrite } from '../../../platform/writes/perform-write.ts';
import { requireRoles } from '../roles/find-roles.ts';
import { requireHeld } from '../roles/require-held.ts';
import type { Invitation, invitationsQuery, NewInvitation } from './invitation-schemas.ts';
import { IS_OPEN } from './pending-invitations.ts';

const AUDIT_TYPE = 'invitation';
const VALID_MS = 7 * DAY_MS;
/** 40 characters of 5 bits. */
const TOKEN_LENGTH = 40;

type InvitationRow = Omit<Invitation, 'status'> & { readonly [column: string]: unknown };

const COLUMNS = `i.invitation_id, i.email, to_json(i.roles) as roles, i.invited_by, i.created_at, i.expires_at, i.accepted_at, i.accepted_by,
  i.revoked_at, i.revoked_by`;

function present(row: InvitationRow, now: Date): Invitation {
  return { ...row, status: invitationStatus(row, now) };
}

/** Whether an invitation can be accepted at an instant, and if not, why. */
export function invitationStatus(
  row: Pick<Invitation, 'accepted_at' | 'revoked_at' | 'expires_at'>,
  now: Date,
): Invitation['status'] {
  if (row.accepted_at !== null) return 'accepted';
  if (row.revoked_at !== null) return 'revoked';
  return Date.parse(row.expires_at) <= now.getTime() ? 'expired' : 'pending';
}

/** A page of the tenant's invitations, also those that are over. */
export function listInvitations(
  call: Call,
  query: z.output<typeof invitationsQuery>,
  url: string,
): Promise<Reply<200, Page<Invitation>>> {
  const list: KeysetList = {
    table: 'ops.invitations i',
    columns: COLUMNS,
    timeColumn: 'created_at',
    idColumn: 'invitation_id',
    idType: 'uuid',
    conditions: [...when('i.email = ?', query.email), ...statusConditions(query.status, call.now)],
  };
  const scope = cursorScope(call, query);
  return pageReply(scope, url, readPage(scope, query), {
    read: async (step) =>
      (await readKeyset<InvitationRow>(call.tenant, list, step)).map((row) => present(row, call.now)),
    positionOf: positionIn(list),
  });
}

function statusConditions(status: Invitation['status'] | undefined, now: Date): readonly Condition[] {
  switch (status) {
    case undefined:
      return [];
    case 'accepted':
      return [{ sql: '(i.accepted_at is not null) = ?', value: true }];
    case 'revoked':
      return [{ sql: '(i.revoked_at is not null) = ?', value: true }];
    case 'pending':
      return [{ sql: `${IS_OPEN} and i.expires_at > ?`, value: now }];
    case 'expired':
      return [{ sql: `${IS_OPEN} and i.expires_at <= ?`, value: now }];
    default:
      return status satisfies never;
  }
}

/**
 * One invitation.
 * @throws Problem 404.
 */
export async function readInvitation(call: Call, id: string): Promise<Reply<200, Invitation>> {
  const [row] = await call.tenant.statement<InvitationRow>(
    `select r.* from scope, lateral (
       select ${COLUMNS} from ops.invitations i where i.tenant_id = scope.tenant_id and i.invitation_id = $2 offset 0) r`,
    [id],
  );
  if (row === undefined) throw noSuchInvitation();
  return ok(present(row, call.now));
}

/**
 * Invites an address to the tenant, in place of what still invites it. The token goes to the sender of mails and nowhere else.
 * @throws Problem 400 for an unknown role; 403 for roles with permissions that the caller does not hold for good; 409 for the address
 * of a member, and for two invitations of one address at the same moment.
 */
export function inviteUser(call: Call, body: NewInvitation): Promise<Reply<201, Invitation>> {
  const { tenantId } = call.tenant;
  const { actor, makerId } = call.principal;
  return performWrite(call, async (transaction) => {
    await requireGrantable(call, transaction, body.roles);
    await refuseMember(call, transaction, body.email);
    const replaced = await transaction.query(
      `update ops.invitations i set revoked_at = $3, revoked_by = $4
        where i.tenant_id = $1 and i.email = $2 and ${IS_OPEN} returning i.invitation_id`,
      [tenantId, body.email, call.now, actor],
    );
    const { token, expiresAt } = newToken(call);
    const id = newId(call.now);
    // The index invitations_open lets one of two at the same moment through.
    const [row] = await transaction.query<InvitationRow>(
      `insert into ops.invitations as i (tenant_id, invitation_id, email, roles, token_hash, invited_by, invited_by_user, created_at,
         expires_at)
       values ($1, $2, $3, $4::text[], $5, $6, $7, $8, $9) returning ${COLUMNS}`,
      [tenantId, id, body.email, body.roles, hashToken(token), actor, makerId, call.now, expiresAt],
    );
    if (row === undefined) throw new Error('the invitation was not inserted');
    return {
      reply: created(`/api/v1/invitations/${id}`, present(row, call.now)),
      audit: {
        action: 'user.invited',
        resource_type: AUDIT_TYPE,
        resource_id: id,
        details: { roles: body.roles, replaced: replaced.length },
      },
      events: [invitedEvent(call, row, token)],
    };
  });
}

/**
 * Sends an invitation again, with a new token and seven more days. The token before is worth nothing from then on, and the caller
 * answers for the roles.
 * @throws Problem 404; 409 for one that was accepted or revoked; what {@link inviteUser} throws.
 */
export function resendInvitation(call: Call, id: string): Promise<Reply<200, Invitation>> {
  const { tenantId } = call.tenant;
  return performWrite(call, async (transaction) => {
    const before = await lockOpen(call, transaction, id);
    await requireGrantable(call, transaction, before.roles);
    await refuseMember(call, transaction, before.email);
    const { token, expiresAt } = newToken(call);
    const [row] = await transaction.query<InvitationRow>(
      `update ops.invitations i set token_hash = $3, expires_at = $4, invited_by = $5, invited_by_user = $6
        where i.tenant_id = $1 and i.invitation_id = $2 returning ${COLUMNS}`,
      [tenantId, id, hashToken(token), expiresAt, call.principal.actor, call.principal.makerId],
    );
    if (row === undefined) throw new Error('a row that is locked was not written');
    return {
      reply: ok(present(row, call.now)),
      audit: { action: 'invitation.resent', resource_type: AUDIT_TYPE, resource_id: id },
      events: [invitedEvent(call, row, token)],
    };
  });
}

/**
 * Revokes an invitation. A repeated call changes nothing.
 * @throws Problem 404; 409 for one that was accepted: the person is a member now.
 */
export function revokeInvitation(call: Call, id: string): Promise<NoContent> {
  return performWrite(
    call,
    async (transaction) => {
      const row = await lockInvitation(call, transaction, id);
      if (row.accepted_at !== null)
        throw new Problem('CONFLICT', { detail: 'It was accepted: remove the member instead.' });
      await transaction.query(
        `update ops.invitations i set revoked_at = $3, revoked_by = $4
          where i.tenant_id = $1 and i.invitation_id = $2 and ${IS_OPEN}`,
        [call.tenant.tenantId, id, call.now, call.principal.actor],
      );
      return {
        reply: noContent,
        audit: { action: 'invitation.revoked', resource_type: AUDIT_TYPE, resource_id: id },
      };
    },
    { beyondQuota: true },
  );
}

function newToken(call: Call): { readonly token: string; readonly expiresAt: Date } {
  return {
    token: `inv_${randomToken(TOKEN_LENGTH)}`,
    expiresAt: new Date(call.now.getTime() + VALID_MS),
  };
}

async function requireGrantable(
  call: Call,
  transaction: TenantTransaction,
  roles: readonly string[],
): Promise<void> {
  const gives = await requireRoles(transaction, call.tenant.tenantId, roles, (at) => `/roles/${at}`);
  await requireHeld(call, transaction, gives, null);
}

async function refuseMember(call: Call, transaction: TenantTransaction, email: string): Promise<void> {
  const members = await transaction.query(
    `select 1 as one from users u join user_role_assignments a on a.user_id = u.user_id
      where a.tenant_id = $1 and u.email = $2 and a.is_active and (a.expires_at is null or a.expires_at > $3) limit 1`,
    [call.tenant.tenantId, email, call.now],
  );
  if (members.length > 0)
    throw new Problem('CONFLICT', { detail: 'The person is a member already: assign the role instead.' });
}

async function lockInvitation(
  call: Call,
  transaction: TenantTransaction,
  id: string,
): Promise<InvitationRow> {
  const [row] = await transaction.query<InvitationRow>(
    `select ${COLUMNS} from ops.invitations i where i.tenant_id = $1 and i.invitation_id = $2 for update`,
    [call.tenant.tenantId, id],
  );
  if (row === undefined) throw noSuchInvitation();
  return row;
}

async function lockOpen(call: Call, transaction: TenantTransaction, id: string): Promise<InvitationRow> {
  const row = await lockInvitation(call, transaction, id);
  const status = invitationStatus(row, call.now);
  if (status === 'accepted' || status === 'revoked')
    throw new Problem('CONFLICT', { detail: `It was ${status}: make a new invitation.` });
  return row;
}

function noSuchInvitation(): Problem {
  return new Problem('NOT_FOUND', { detail: 'There is no such invitation.' });
}

/** What the sender of mails needs. The only place with the token. */
function invitedEvent(call: Call, row: InvitationRow, token: string): CloudEvent<UserInvitedData> {
  return newEvent(
    USER_INVITED,
    {
      tenant_id: call.tenant.tenantId,
      email: row.email,
      token,
      expires_at: new Date(row.expires_at).toISOString(),
      invitation_id: row.invitation_id,
      tenant_name: call.context.name,
      roles: row.roles,
    },
    call.now,
  );
}
