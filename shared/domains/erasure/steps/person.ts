import { randomBytes } from 'node:crypto';
import type { DatabaseName } from '../../../platform/call/call.ts';
import { inBatch } from '../../../platform/db/batch-transaction.ts';
import type { TenantTable } from '../../../platform/tenant-data/tenant-table.ts';
import { addressOf, leaveForGood, type PersonOf } from '../../identity/people/erased-person.ts';
import { finishStep, lockPosition, PSEUDONYM_KEY_BYTES, pseudonymKeyOf, type Erasure } from '../ledger.ts';
import { namesOf, personPseudonyms, type Person, type PersonPseudonyms } from '../person-names.ts';
import {
  erasePerson,
  finishedPlaces,
  finishPlace,
  openPlace,
  type PageDone,
  type PersonChange,
} from '../places.ts';
import { stepAfter } from '../steps.ts';
import { ErasureFault, type ErasureWork, type StepOutcome } from '../work.ts';
import { refuseHeld } from './holds.ts';

/** Rows that a batch looks at. */
export const LOOKS = 2_000;
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
  const batch: ColumnBatch = async (database, change) => {
    // In core the database looks itself, in the transaction of the batch.
    if (database !== 'core') await refuseHeld(work);
    return erasePerson(services.crossTenant[database], erasure, change, LOOKS);
  };
  if (!(await eraseAllColumns(work, { names: namesOf(person), pseudonyms }, batch))) return 'more';
  await finishStep(core, erasure, stepAfter(erasure.step, erasure.scope), {}, now);
  return 'done';
}

/** What a column may have, and what stands there instead. */
interface PersonErasure {
  readonly names: readonly string[];
  readonly pseudonyms: PersonPseudonyms;
  /** Only columns that were finished before this do not count as finished: a later pass looks at all again. */
  readonly since?: Date;
}

/** Looks at a table's next rows. @throws what stops the erasure. */
export type ColumnBatch = (database: DatabaseName, change: PersonChange) => Promise<PageDone>;

/** Handles every declared column. False if the run's time ended before. */
export async function eraseAllColumns(
  work: ErasureWork,
  { names, pseudonyms, since }: PersonErasure,
  batch: ColumnBatch,
): Promise<boolean> {
  const { services, erasure, now, hasTime } = work;
  for (const name of ['core', 'billing', 'analytics'] as const) {
    const database = services.crossTenant[name];
    const finished = await finishedPlaces(database, erasure, since);
    for (const [table, column, what] of columnsOf(work.tables, name)) {
      const place = `${table}.${column}`;
      if (finished.has(place)) continue;
      await openPlace(database, erasure, place);
      const change = {
        table,
        column,
        names: what === 'delete' ? names : pseudonyms.byName,
        asId: pseudonyms.asId,
      };
      let isOver = false;
      while (!isOver) {
        if (!hasTime()) return false;
        ({ is_over: isOver } = await batch(name, change));
      }
      await finishPlace(database, erasure, place, now, since !== undefined);
    }
  }
  return true;
}

/** The columns of a database where rows go or a pseudonym stands. */
function columnsOf(
  tables: readonly TenantTable[],
  database: DatabaseName,
): (readonly [string, string, 'delete' | 'pseudonym'])[] {
  return tables
    .filter((one) => one.database === database)
    .flatMap(({ table, person = {} }) =>
      Object.entries(person).flatMap(([column, what]) =>
        what === 'delete' || what === 'pseudonym' ? [[table, column, what] as const] : [],
      ),
    );
}
