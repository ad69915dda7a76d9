import { newId } from '../../platform/ids/ids.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { markErasedAgain } from '../tenancy/erase-tenant.ts';
import { joinedSince } from '../identity/people/erased-person.ts';
import { openErasure, readNewest, startOver } from './ledger.ts';
import type { PersonTombstone } from './person-tombstones.ts';

/**
 * Whether a database that was restored to a moment may have rows of an erased tenant again: its erasure was not over at that moment,
 * or the ledger, which may be restored itself, does not have it.
 */
export async function isErasureUndone(
  core: CrossTenantDatabase,
  tenantId: string,
  moment: Date,
): Promise<boolean> {
  const newest = await readNewest(core, tenantId, null);
  const finishedAt = newest?.status === 'completed' ? newest.finished_at : null;
  return finishedAt === null || new Date(finishedAt) >= moment;
}

/** Has an erased tenant erased once more: nobody may sign in for it, and the job begins again with the first step. */
export async function repeatErasure(
  core: CrossTenantDatabase,
  tenantId: string,
  { actor, now }: { readonly actor: string; readonly now: Date },
): Promise<void> {
  await markErasedAgain(core, tenantId, now);
  await beginAgain(core, { tenantId, personId: null }, { actor, now });
}

async function beginAgain(
  core: CrossTenantDatabase,
  { tenantId, personId }: { readonly tenantId: string; readonly personId: string | null },
  { actor, now }: { readonly actor: string; readonly now: Date },
): Promise<void> {
  const newest = await readNewest(core, tenantId, personId);
  if (newest !== undefined && newest.finished_at === null) await startOver(core, newest);
  else
    await openErasure(core, {
      tenantId,
      ...(personId === null ? {} : { personId }),
      erasureId: newId(now),
      reason: 'A database was restored to a moment before the erasure.',
      requestedBy: actor,
      at: now,
    });
}

/**
 * What a restore made of a person's erasure. `in_hand`: it ended, or was requested, after the restore. `joined_again`: the person joined
 * the tenant after the erasure, so a person must decide.
 */
export type PersonUndone =
  { readonly state: 'in_hand' | 'undone' } | { readonly state: 'joined_again'; readonly since: string };

/**
 * Whether a restored database may have rows of an erased person again, whose `tombstone` is newer than the restored moment. What ended
 * or was requested when clients were shut out already (`stoppedAt`) has searched, or will search, the restored databases. Whoever was
 * given a role in the tenant after the time of the tombstone joined it again.
 */
export async function isPersonUndone(
  core: CrossTenantDatabase,
  { tenant_id: tenantId, user_id: userId, erased_at: erasedAt }: PersonTombstone,
  stoppedAt: Date,
): Promise<PersonUndone> {
  const newest = await readNewest(core, tenantId, userId);
  if (newest !== undefined && new Date(newest.finished_at ?? newest.requested_at) >= stoppedAt)
    return { state: 'in_hand' };
  // One that is under way goes on anyway, and only begins again.
  if (newest !== undefined && newest.finished_at === null) return { state: 'undone' };
  const since = await joinedSince(core, { tenantId, userId }, new Date(erasedAt));
  return since === undefined ? { state: 'undone' } : { state: 'joined_again', since };
}

/** Has an erased person erased once more. The job ends the membership again, and begins with the first step. */
export function repeatPersonErasure(
  core: CrossTenantDatabase,
  { tenant_id: tenantId, user_id: personId }: PersonTombstone,
  by: { readonly actor: string; readonly now: Date },
): Promise<void> {
  return beginAgain(core, { tenantId, personId }, by);
}
