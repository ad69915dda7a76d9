import { keptByLawSince } from '../../../platform/tenant-data/kept-by-law.ts';
import type { TenantTable } from '../../../platform/tenant-data/tenant-table.ts';
import { inDeletingBatch } from '../../retention/deleting-batch.ts';
import { deleteUnusedAccount, peopleOf } from '../../identity/people/erased-person.ts';
import { finishStep, isErasedElsewhere } from '../ledger.ts';
import { clearRows, countDone, eraseRows, finishedPlaces, finishPlace, openPlace } from '../places.ts';
import { stepAfter } from '../steps.ts';
import type { ErasureWork, StepOutcome } from '../work.ts';
import { literalsOf } from '../../../platform/tenant-data/literals.ts';
import { refuseHeld } from './holds.ts';

/** Rows in one batch: a second's work, also where each has 64 KB. */
const BATCH_SIZE = 1_000;
/** People in one batch. */
const PEOPLE_SIZE = 100;
/** Accounts have no tenant, so no declaration names them. */
const ACCOUNTS = 'users';

/** Deletes the tenant's rows table by table, and clears what stays. */
export async function eraseAllRows(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure, now } = work;
  const { crossTenant } = services;
  const finished = {
    core: await finishedPlaces(crossTenant.core, erasure),
    billing: await finishedPlaces(crossTenant.billing, erasure),
    analytics: await finishedPlaces(crossTenant.analytics, erasure),
  };
  // First, while assignments still tell who they are.
  if (!finished.core.has(ACCOUNTS) && !(await eraseAccounts(work))) return 'more';
  // A run that is killed goes on with the table where it was.
  const left = work.tables.filter(({ database, table }) => !finished[database].has(table));
  if (!(await emptyTables({ ...work, tables: left }))) return 'more';
  await finishStep(services.crossTenant.core, erasure, stepAfter(erasure.step), {}, now);
  return 'done';
}

/** Deletes the accounts of people whom no other tenant has. False if the run's time ended before. */
async function eraseAccounts(work: ErasureWork): Promise<boolean> {
  const { services, erasure, now } = work;
  const { core } = services.crossTenant;
  const { tenant_id: tenantId } = erasure;
  await openPlace(core, erasure, ACCOUNTS);
  let people = await peopleOf(core, tenantId, null, PEOPLE_SIZE);
  while (people.length > 0) {
    if (!work.hasTime()) return false;
    const page = people;
    await inDeletingBatch(core, async (transaction) => {
      await refuseHeld(work, transaction);
      let gone = 0;
      for (const userId of page) {
        const isUsed = () => isErasedElsewhere(transaction, tenantId, userId);
        if (await deleteUnusedAccount(transaction, userId, isUsed, tenantId)) gone += 1;
      }
      await countDone(transaction, erasure, ACCOUNTS, gone);
    });
    people = await peopleOf(core, tenantId, page.at(-1) ?? null, PEOPLE_SIZE);
  }
  await finishPlace(core, erasure, ACCOUNTS, now);
  return true;
}

/** Empties or clears every table. True when nothing is left in any. */
export async function emptyTables(work: ErasureWork): Promise<boolean> {
  for (const table of work.tables) if (!(await emptyTable(work, table))) return false;
  return true;
}

async function emptyTable(work: ErasureWork, declared: TenantTable): Promise<boolean> {
  const { services, erasure, now } = work;
  const { table, onErasure } = declared;
  const database = services.crossTenant[declared.database];
  const cleared = onErasure === 'delete' ? undefined : onErasure.clear;
  if (onErasure !== 'delete' && cleared === undefined) return true;
  await openPlace(database, erasure, table);
  let isOver = false;
  while (!isOver) {
    if (!work.hasTime()) return false;
    // In core the database looks itself, in the transaction of the batch.
    if (declared.database !== 'core') await refuseHeld(work);
    ({ is_over: isOver } =
      cleared === undefined
        ? await eraseRows(database, erasure, table, BATCH_SIZE)
        : await clearRows(database, erasure, table, literalsOf(cleared), BATCH_SIZE));
  }
  await finishPlace(database, erasure, table, now);
  return true;
}

/** Deletes rows that the law wanted kept, once it does not any more. True when none is left that is older. */
export async function eraseKeptByLaw(work: ErasureWork): Promise<boolean> {
  const { services, erasure, now } = work;
  const before = keptByLawSince(services.settings, now);
  for (const { database: name, table, onErasure } of work.tables) {
    if (onErasure === 'delete' || onErasure.byLaw !== true) continue;
    let isOver = false;
    while (!isOver) {
      if (!work.hasTime()) return false;
      await refuseHeld(work);
      ({ is_over: isOver } = await eraseRows(services.crossTenant[name], erasure, table, BATCH_SIZE, before));
    }
  }
  return true;
}
