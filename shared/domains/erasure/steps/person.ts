import { randomBytes } from 'node:crypto';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { TenantTable } from '../../../platform/tenant-data/tenant-table.ts';
import { addressOf, leaveForGood, type PersonOf } from '../../identity/people/erased-person.ts';
import { finishStep, lockPosition, PSEUDONYM_KEY_BYTES, pseudonymKeyOf, type Erasure } from '../ledger.ts';
import { namesOf, personPseudonyms, type Person, type PersonPseudonyms } from '../person-names.ts';
import { erasePerson, finishedPlaces, finishPlace, openPlace } from '../places.ts';
import { stepAfter } from '../steps.ts';
import { ErasureFault, type ErasureWork, type StepOutcome } from '../work.ts';
import { refuseHeld } from './holds.ts';

/** Rows in one batch. */
const BATCH_SIZE = 1_000;
const ACTOR = 'job:tenant-erasures';

/** Whom an erasure is of. */
export function erasedPerson({ tenant_id: tenantId, person_id: userId }: Erasure): PersonOf {
  if (userId === null) throw new ErasureFault('the erasure is of no person');
  return { tenantId, userId };
}

/** What the person is called. The account, which has the address, is the last thing that goes. */
export async function personOf({ services, erasure }: ErasureWork): Promise<Person> {
  const { userId } = erasedPerson(erasure);
  return { userId, email: await addressOf(services.crossTenant.core, userId) };
}

/** Ends again what the request ended: a token may have given roles since then. */
export async function closePerson(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  await refuseHeld(work);
  return inBatch(services.crossTenant.core, async (transaction) => {
    if (!(await leaveForGood(transaction, erasedPerson(erasure), ACTOR, now)))
      throw new ErasureFault('the person is the last owner of the tenant again');
    await finishStep(transaction, erasure, stepAfter(erasure.step, erasure.scope), {}, now);
    return 'done' as const;
  });
}

/** Deletes rows of the person, and puts the pseudonym into those that stay, column by column. */
export async function erasePersonRows(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  const { core } = services.crossTenant;
  const person = await personOf(work);
  const pseudonyms = await core.transaction(async (transaction) => {
    // Only while it is this step: after it, the key is dropped for good.
    if ((await lockPosition(transaction, erasure)) === undefined) return undefined;
    const key = await pseudonymKeyOf(transaction, erasure, randomBytes(PSEUDONYM_KEY_BYTES));
    return personPseudonyms(key, person);
  });
  if (pseudonyms === undefined) return 'moved';
  for (const database of ['core', 'billing', 'analytics'] as const) {
    const finished = await finishedPlaces(services.crossTenant[database], erasure);
    for (const table of work.tables.filter((one) => one.database === database))
      if (!(await eraseColumns(work, table, { person, pseudonyms, finished }))) return 'more';
  }
  await finishStep(core, erasure, stepAfter(erasure.step, erasure.scope), {}, now);
  return 'done';
}

/** What is done in each column. */
interface PersonErasure {
  readonly person: Person;
  readonly pseudonyms: PersonPseudonyms;
  /** Columns where nothing is left. */
  readonly finished: ReadonlySet<string>;
}

/** Handles the columns of a table. False if the run's time ended before. */
async function eraseColumns(
  work: ErasureWork,
  { database: name, table, person: columns = {} }: TenantTable,
  { person, pseudonyms, finished }: PersonErasure,
): Promise<boolean> {
  const { services, erasure, now } = work;
  const database = services.crossTenant[name];
  for (const [column, what] of Object.entries(columns)) {
    const place = `${table}.${column}`;
    if ((what !== 'delete' && what !== 'pseudonym') || finished.has(place)) continue;
    const names = what === 'delete' ? namesOf(person) : pseudonyms.byName;
    await openPlace(database, erasure, place);
    do {
      if (!work.hasTime()) return false;
      // In core the database looks itself, in the transaction of the batch.
      if (name !== 'core') await refuseHeld(work);
    } while (
      (await erasePerson(database, erasure, { table, column, names, asId: pseudonyms.asId }, BATCH_SIZE)) > 0
    );
    await finishPlace(database, erasure, place, now);
  }
  return true;
}
