import { newId } from '../../platform/ids/ids.ts';
import type { CrossTenantDatabase } from '../../platform/db/tenant-database.ts';
import { markErasedAgain } from '../tenancy/erase-tenant.ts';
import { openErasure, readNewest, startOver } from './ledger.ts';

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
  const newest = await readNewest(core, tenantId, null);
  if (newest !== undefined && newest.finished_at === null) await startOver(core, newest);
  else
    await openErasure(core, {
      tenantId,
      erasureId: newId(now),
      reason: 'A database was restored to a moment before the erasure.',
      requestedBy: actor,
      at: now,
    });
}
