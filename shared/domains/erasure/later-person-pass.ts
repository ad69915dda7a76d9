import { randomBytes } from 'node:crypto';
import { inBatch } from '../../platform/db/batch-transaction.ts';
import type { CrossTenantTransaction } from '../../platform/db/tenant-database.ts';
import { addDays } from '../../platform/time/clock.ts';
import { pseudonymiseEntries, TRAIL_PLACE } from '../audit/pseudonymise.ts';
import { isKnownIn } from '../identity/people/erased-person.ts';
import { lockPerson } from '../identity/people/keepers.ts';
import { WATCHED_DAYS } from './later-pass.ts';
import { notePersonPass, PASS_EVERY_DAYS, PSEUDONYM_KEY_BYTES } from './ledger.ts';
import { namesOf, personPseudonyms, withoutPerson, type Person } from './person-names.ts';
import { erasePerson, finishedPlaces, finishPlace, lockPlace, openPlace, savePlace } from './places.ts';
import { pseudonymsOf } from './pseudonyms.ts';
import { ENTRIES_AT_ONCE, trailPosition } from './steps/audit.ts';
import { refuseHeld } from './steps/holds.ts';
import { erasedPerson, eraseAllColumns, LOOKS } from './steps/person.ts';
import { reportOf } from './steps/verify.ts';
import { ErasureFault, type ErasureWork } from './work.ts';

/** The person is a member of the tenant again, so its rows name the person rightly. */
class PersonIsBack extends Error {
  override name = 'PersonIsBack';
}

/**
 * Looks once more for an erased person in a tenant: a late message may have brought the name back. The key of the erasure's pseudonyms is
 * dropped, and the address is known nowhere, so the id is looked for, and a fresh pseudonym of this run stands instead. False if the
 * run's time ended before; the next one goes on where it stopped. Somebody who joined the tenant again is left alone, for good.
 */
export async function passOverPerson(work: ErasureWork): Promise<boolean> {
  const { services, erasure, now } = work;
  const { core } = services.crossTenant;
  const { report, finished_at: finishedAt } = erasure;
  if (report === null || finishedAt === null) throw new ErasureFault('the erasure is not completed');
  let next: Date | null = null;
  try {
    if (!(await removeNames(work, new Date(finishedAt)))) return false;
    const isWatched = now < addDays(new Date(finishedAt), WATCHED_DAYS);
    next = isWatched ? addDays(now, PASS_EVERY_DAYS) : null;
  } catch (error) {
    if (!(error instanceof PersonIsBack)) throw error;
  }
  const { places } = await reportOf(work, erasure, { cacheKeys: 0, found: report.found });
  await notePersonPass(core, erasure, { report: { ...report, places }, now, next });
  return true;
}

async function removeNames(work: ErasureWork, finishedAt: Date): Promise<boolean> {
  const { services, erasure } = work;
  const { userId } = erasedPerson(erasure);
  const person: Person = { userId, email: undefined };
  const key = randomBytes(PSEUDONYM_KEY_BYTES);
  // What this pass has finished, in a run before, it has finished since it was due.
  const since = new Date(erasure.next_watch_at ?? addDays(finishedAt, PASS_EVERY_DAYS));
  const names = { names: namesOf(person), pseudonyms: personPseudonyms(key, person), since };
  const isDone = await eraseAllColumns(work, names, async (database, change) => {
    await refuseHeld(work);
    // One transaction, also where the rows are in another database: nobody joins meanwhile.
    return inBatch(services.crossTenant.core, async (transaction) => {
      await refuseBack(transaction, work);
      const queries = database === 'core' ? transaction : services.crossTenant[database];
      return erasePerson(queries, erasure, change, LOOKS);
    });
  });
  return isDone && rewriteTrail(work, { person, key, since });
}

/** @throws PersonIsBack if the person joined the tenant after the erasure, which left no role. Nobody joins before the transaction ends. */
async function refuseBack(transaction: CrossTenantTransaction, { erasure }: ErasureWork): Promise<void> {
  const of = erasedPerson(erasure);
  await lockPerson(transaction, of.userId, 'exclusive');
  if (await isKnownIn(transaction, of)) throw new PersonIsBack();
}

/** Walks over the whole trail: an entry has the time of its event, which may be long ago. */
async function rewriteTrail(
  work: ErasureWork,
  given: { readonly person: Person; readonly key: Uint8Array; readonly since: Date },
): Promise<boolean> {
  const { services, erasure, now, hasTime } = work;
  const { core } = services.crossTenant;
  if ((await finishedPlaces(core, erasure, given.since)).has(TRAIL_PLACE)) return true;
  await openPlace(core, erasure, TRAIL_PLACE);
  const change = withoutPerson(given.person);
  const pseudonym = pseudonymsOf(given.key);
  const of = { tenantId: erasure.tenant_id, erasureId: erasure.erasure_id };
  let isOver = false;
  while (!isOver) {
    if (!hasTime()) return false;
    await refuseHeld(work);
    isOver = await inBatch(core, async (transaction) => {
      await refuseBack(transaction, work);
      const page = {
        ...trailPosition.parse((await lockPlace(transaction, erasure, TRAIL_PLACE)) ?? {}),
        limit: ENTRIES_AT_ONCE,
      };
      const after = await pseudonymiseEntries(transaction, of, page, (facts) => change(facts, pseudonym));
      await savePlace(transaction, erasure, TRAIL_PLACE, after === undefined ? null : { after });
      if (after === undefined) await finishPlace(transaction, erasure, TRAIL_PLACE, now, true);
      return after === undefined;
    });
  }
  return true;
}
