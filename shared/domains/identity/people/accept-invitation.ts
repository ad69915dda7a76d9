import { hashToken } from '../../../platform/auth/session-token.ts';
import type { CallServices, Origin } from '../../../platform/call/call.ts';
import { Problem } from '../../../platform/call/problem.ts';
import { ok, type Reply } from '../../../platform/call/reply.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { newId } from '../../../platform/ids/ids.ts';
import { heldRolesSql, heldUntil, readHeldRoles } from '../roles/held-roles.ts';
import { requireRoles } from '../roles/find-roles.ts';
import { addEvents, personEvent, publishEntries } from '../sign-in/person-events.ts';
import { setPassword } from '../sign-in/set-password.ts';
import type { Acceptance, Accepted } from './invitation-schemas.ts';
import { invitationStatus } from './invitations.ts';
import { lockPerson } from './keepers.ts';

type Services = Pick<CallServices, 'crossTenant' | 'tenants' | 'credentials' | 'publisher' | 'settings'>;

/** An invitation as its token finds it, with the person who has its address. */
interface Invited {
  readonly [column: string]: unknown;
  readonly tenant_id: string;
  readonly invitation_id: string;
  readonly email: string;
  readonly roles: readonly string[];
  readonly invited_by: string | null;
  readonly invited_by_user: string | null;
  readonly expires_at: string;
  readonly accepted_at: string | null;
  readonly revoked_at: string | null;
  /** Null: nobody has the address. */
  readonly user_id: string | null;
  readonly is_active: boolean | null;
}

/**
 * How the person who accepts shows that the account with the invited address is theirs. Returns what the transaction checks again.
 * @throws Problem 401.
 */
export type Proof = (userId: string) => Promise<{
  /** Whether the proof still stands, in the transaction and with the person's row locked. */
  readonly stands: (transaction: CrossTenantTransaction) => Promise<boolean>;
}>;

/** Whether a person's erasure in a tenant is under way: nobody can join then. */
export type ErasureCheck = (
  transaction: CrossTenantTransaction,
  tenantId: string,
  userId: string,
) => Promise<boolean>;

/** What a person sends to accept, and from where. */
export interface AcceptanceRequest {
  readonly body: Acceptance;
  readonly origin: Origin;
  readonly now: Date;
  readonly prove: Proof;
  readonly isBeingErased: ErasureCheck;
}

/**
 * Accepts an invitation, once whatever races. It crosses tenants, because a token names its tenant and no one is signed in. Holding the
 * token shows that the address is the person's, so it is verified from then on. An account that exists needs its own proof too: a mail
 * that was passed on must not give anybody another's account.
 * @throws Problem 404 for an unknown token; 409 for an invitation that was accepted or revoked, is too old, or whose inviter may no
 * longer give its roles; 400 for a new person without a name or a good password; 401 without proof.
 */
export async function acceptInvitation(
  services: Services,
  { body, origin, now, prove, isBeingErased }: AcceptanceRequest,
): Promise<Reply<200, Accepted>> {
  const { core } = services.crossTenant;
  const hash = hashToken(body.token);
  const seen = await findInvited(core, hash);
  await requireOpen(services, seen, now);
  const proof = seen.user_id === null ? undefined : await prove(seen.user_id);
  const { userId, entries } = await core.transaction(async (transaction) => {
    // Before or after a request to erase the person here, never at once.
    if (seen.user_id !== null) await lockPerson(transaction, seen.user_id, 'shared');
    const invited = await findInvited(transaction, hash, 'for update of i');
    await requireOpen(services, invited, now);
    await requireInviter(transaction, invited, now);
    const id =
      proof === undefined
        ? await addPerson(services, transaction, invited, body, now)
        : await confirmPerson(transaction, invited, proof, now);
    if (await isBeingErased(transaction, invited.tenant_id, id))
      throw conflict('The person is being erased in this tenant.');
    await joinTenant(transaction, invited, id, now);
    const note = {
      tenantId: invited.tenant_id,
      userId: id,
      action: 'invitation.accepted',
      resource: ['invitation', invited.invitation_id] as const,
      details: { roles: invited.roles },
    };
    return { userId: id, entries: await addEvents(transaction, [personEvent(note, origin, now)], now) };
  });
  publishEntries(services, entries);
  services.credentials.forgetPerson(userId);
  return ok({
    user_id: userId,
    tenant_id: seen.tenant_id,
    roles: [...seen.roles],
    is_new_person: proof === undefined,
  });
}

type Queries = Pick<CrossTenantTransaction, 'query'>;

async function findInvited(
  queries: Queries,
  hash: Buffer,
  lock: '' | 'for update of i' = '',
): Promise<Invited> {
  const [row] = await queries.query<Invited>(
    `select i.tenant_id, i.invitation_id, i.email, to_json(i.roles) as roles, i.invited_by, i.invited_by_user, i.expires_at, i.accepted_at,
            i.revoked_at, u.user_id, u.is_active
       from ops.invitations i left join users u on u.email = i.email where i.token_hash = $1 ${lock}`,
    [hash],
  );
  if (row === undefined) throw new Problem('NOT_FOUND', { detail: 'There is no such invitation.' });
  return row;
}

/** @throws Problem 409, 404 for an erased tenant. */
async function requireOpen(services: Services, invited: Invited, now: Date): Promise<void> {
  const status = invitationStatus(invited, now);
  if (status !== 'pending')
    throw conflict(`The invitation ${status === 'expired' ? 'is too old' : `was ${status}`}.`);
  const tenant = await services.tenants.find(invited.tenant_id);
  if (tenant === null || tenant.status === 'erased')
    throw new Problem('NOT_FOUND', { detail: 'There is no such invitation.' });
  if (tenant.status !== 'active') throw conflict(`The tenant is ${tenant.status}: nobody can join it.`);
  if (invited.is_active === false) throw conflict('The account with this address is not active.');
}

/**
 * Who invited must still be able to: else somebody who was removed could come back through an accomplice. An invitation that a key of
 * the tenant's own made answers to nobody, and stands.
 */
async function requireInviter(transaction: Queries, invited: Invited, now: Date): Promise<void> {
  const gives = await requireRoles(transaction, invited.tenant_id, invited.roles, () => '/token');
  if (invited.invited_by_user === null) return;
  const [inviter] = await transaction.query<{ is_active: boolean; held: unknown }>(
    `select u.is_active, ${heldRolesSql('$1', 'u.user_id')} as held from users u where u.user_id = $2`,
    [invited.tenant_id, invited.invited_by_user],
  );
  const held = heldUntil(readHeldRoles(inviter?.held ?? []), now);
  const mayInvite =
    inviter?.is_active === true &&
    held.has('users:manage') &&
    [...gives].every((permission) => held.get(permission) === null);
  if (!mayInvite) throw conflict('Whoever invited can no longer give these roles: ask for a new invitation.');
}

/** @throws Problem 400 with everything that a new person has to say; 409 if the address has been taken meanwhile. */
async function addPerson(
  { settings }: Pick<Services, 'settings'>,
  transaction: CrossTenantTransaction,
  invited: Invited,
  body: Acceptance,
  now: Date,
): Promise<string> {
  const { password, first_name: first, last_name: last } = body;
  if (password === undefined || first === undefined || last === undefined)
    throw new Problem('INVALID_REQUEST', {
      errors: (['password', 'first_name', 'last_name'] as const)
        .filter((field) => body[field] === undefined)
        .map((field) => ({ pointer: `/${field}`, detail: 'is needed of a new person' })),
    });
  const id = newId(now);
  const added = await transaction.query(
    `insert into users (user_id, email, first_name, last_name, is_verified, email_verified_at, azure_region, created_at, updated_at)
     values ($1, $2, $3, $4, true, $5, $6, $5, $5) on conflict (email) do nothing returning user_id`,
    [id, invited.email, first, last, now, settings.AZURE_REGION],
  );
  if (added.length === 0) throw conflict('The address has got an account in the meantime: try again.');
  await setPassword(transaction, id, password, now);
  return id;
}

/** @throws Problem 409 if the account or its proof has changed meanwhile. */
async function confirmPerson(
  transaction: CrossTenantTransaction,
  invited: Invited,
  proof: Awaited<ReturnType<Proof>>,
  now: Date,
): Promise<string> {
  // Locked, so that an operator who deactivates the person meanwhile comes before or after, and is seen.
  const [person] = await transaction.query<{ user_id: string; is_active: boolean }>(
    `select user_id, is_active from users where email = $1 for update`,
    [invited.email],
  );
  if (person?.is_active !== true || !(await proof.stands(transaction)))
    throw conflict('The account has changed in the meantime: try again.');
  await transaction.query(
    `update users set is_verified = true, email_verified_at = coalesce(email_verified_at, $2), updated_at = $2, version = version + 1
      where user_id = $1 and not is_verified`,
    [person.user_id, now],
  );
  return person.user_id;
}

async function joinTenant(
  transaction: CrossTenantTransaction,
  invited: Invited,
  userId: string,
  now: Date,
): Promise<void> {
  await transaction.query(
    `insert into user_role_assignments as a (tenant_id, user_id, role_name, assigned_by, assigned_at, updated_at)
     select $1, $2, r.role_name, $4, $5, $5 from unnest($3::text[]) r(role_name)
     on conflict (tenant_id, user_id, role_name, source) do update
       set assigned_by = excluded.assigned_by, assigned_at = excluded.assigned_at, expires_at = null, is_active = true,
           ended_at = null, ended_by = null, updated_at = excluded.updated_at`,
    [invited.tenant_id, userId, invited.roles, invited.invited_by, now],
  );
  await transaction.query(
    `update ops.invitations set accepted_at = $3, accepted_by = $4 where tenant_id = $1 and invitation_id = $2`,
    [invited.tenant_id, invited.invitation_id, now, userId],
  );
}

function conflict(detail: string): Problem {
  return new Problem('CONFLICT', { detail });
}
