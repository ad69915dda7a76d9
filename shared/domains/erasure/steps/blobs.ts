import { inParallel } from '../../../platform/blob/in-parallel.ts';
import { addDays } from '../../../platform/time/clock.ts';
import { hasExports } from '../../tenancy/erase-tenant.ts';
import { addBlobs, markImmutable, nextBlobs, takeOff, type ListedBlob } from '../blob-list.ts';
import { finishStep } from '../ledger.ts';
import { countDone, openPlace } from '../places.ts';
import { listTenantBlobs } from '../tenant-blobs.ts';
import { stepAfter } from '../steps.ts';
import type { ErasureWork, StepOutcome } from '../work.ts';
import { refuseHeld } from './holds.ts';

/** Blobs in one batch, and storage calls at once. */
const BATCH_SIZE = 200;
const CALLS_AT_ONCE = 16;

/** Lists the tenant's blobs before the rows go that tell of them. A run that is killed lists them again. */
export async function listBlobs(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  const { core } = services.crossTenant;
  for await (const page of listTenantBlobs(services, erasure.tenant_id)) await addBlobs(core, erasure, page);
  await finishStep(core, erasure, stepAfter(erasure.step), {}, now);
  return 'done';
}

/** Deletes the listed blobs. Immutable ones stay on the list, with the end of their time. */
export async function deleteBlobs(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  if (!(await deleteListed(work, null))) return 'more';
  // The timer tenant-exports deletes their containers.
  if (await hasExports(services.crossTenant.core, erasure.tenant_id)) return 'waiting';
  await finishStep(services.crossTenant.core, erasure, stepAfter(erasure.step), {}, now);
  return 'done';
}

/** Deletes blobs of the list, with `due` also those whose time is over. True when none is left to try. */
export async function deleteListed(work: ErasureWork, due: Date | null): Promise<boolean> {
  const { core } = work.services.crossTenant;
  while (work.hasTime()) {
    await refuseHeld(work);
    const batch = await nextBlobs(core, work.erasure, due, BATCH_SIZE);
    if (batch.length === 0) return true;
    await deleteBatch(work, batch);
  }
  return false;
}

async function deleteBatch(
  { services, erasure, now }: ErasureWork,
  batch: readonly ListedBlob[],
): Promise<void> {
  const outcomes = await inParallel(batch, CALLS_AT_ONCE, async (blob) => ({
    blob,
    isGone: (await services.blobs.delete(blob.container_name, blob.blob_name)) !== 'immutable',
  }));
  for (const container of new Set(batch.map(({ container_name }) => container_name))) {
    const place = `blobs ${container}`;
    const namesOf = (isGone: boolean): string[] =>
      outcomes
        .filter((one) => one.isGone === isGone && one.blob.container_name === container)
        .map(({ blob }) => blob.blob_name);
    await services.crossTenant.core.transaction(async (transaction) => {
      await openPlace(transaction, erasure, place);
      await countDone(
        transaction,
        erasure,
        place,
        await takeOff(transaction, erasure, container, namesOf(true)),
      );
      await markImmutable(transaction, erasure, container, namesOf(false), addDays(now, 1));
    });
  }
}
