import { destroyDataKeys, listDataKeys } from '../../../platform/crypto/destroy-keys.ts';
import { inDeletingBatch } from '../../retention/deleting-batch.ts';
import { finishStep } from '../ledger.ts';
import { writeTombstone } from '../tombstones.ts';
import { stepAfter } from '../steps.ts';
import { refuseHeld } from './holds.ts';
import type { ErasureWork, StepOutcome } from '../work.ts';

/**
 * Destroys the tenant's data keys. A tombstone of each is first written outside the databases, so that a restored database, which has
 * the key again, can be told. From here on nothing that they sealed can be opened: in rows, in blobs, in immutable storage.
 */
export async function destroyKeys(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  const { tenant_id: tenantId } = erasure;
  const { core } = services.crossTenant;
  await refuseHeld(work);
  const keys = await listDataKeys(core, tenantId);
  for (const key of keys) await writeTombstone(services.blobs, key, erasure.erasure_id, now);
  await inDeletingBatch(core, async (transaction) => {
    // An operator can place a hold since the step before.
    await refuseHeld(work, transaction);
    await destroyDataKeys(
      transaction,
      tenantId,
      keys.map(({ key_id }) => key_id),
      now,
    );
  });
  for (const { key_id: keyId } of keys) services.dataKeys.forget(tenantId, keyId);
  await finishStep(core, erasure, stepAfter(erasure.step), { keys: keys.length }, now);
  return 'done';
}
