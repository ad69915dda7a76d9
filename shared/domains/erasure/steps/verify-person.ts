import type { TenantTable } from '../../../platform/tenant-data/tenant-table.ts';
import { isNamedInOutbox } from '../../../platform/writes/outbox.ts';
import { deleteUnusedAccount } from '../../identity/people/erased-person.ts';
import { isErasedElsewhere } from '../ledger.ts';
import { writePersonTombstone } from '../person-tombstones.ts';
import { searchPersonPage } from '../search-person.ts';
import type { ErasureReport } from '../schemas.ts';
import { personPattern, type Person } from '../person-names.ts';
import { ErasureFault, type ErasureWork, type StepOutcome } from '../work.ts';
import { erasedPerson, personOf } from './person.ts';
import { complete, DATABASES, goBack, reportOf, searchTables, type TableFound } from './verify.ts';

/** Why texts stay that name the person. */
const WRITTEN_BY_CLIENTS =
  'Texts that the tenant or its clients wrote name the person. Only the tenant can say what they should say instead.';

/**
 * Searches all rows of the tenant for the person. Ends the erasure with the report, which has no address, and with the account, if no
 * other tenant has the person. If a name is left that should not be, it goes back to the rows, and says so.
 */
export async function verifyPerson(work: ErasureWork): Promise<StepOutcome> {
  const { services, erasure } = work;
  const person = await personOf(work);
  // What is on its way comes into the trail, so it must have arrived.
  if (await isOnTheWay(work, person)) return 'waiting';
  const declared = (database: string, table: string): TenantTable | undefined =>
    work.tables.find((one) => one.database === database && one.table === table);
  const found = await searchTables(work, (database, table, after) =>
    searchPersonPage(
      services.crossTenant[database],
      table,
      {
        tenantId: erasure.tenant_id,
        person,
        columns: declared(database, table.name)?.person ?? {},
      },
      after,
    ),
  );
  if (found === undefined) return 'more';
  const left = found.filter(({ own }) => own > 0);
  if (left.length > 0) {
    await goBack(work, 'rows');
    const places = left.map(({ database, table, own }) => `${own} rows in ${database} ${table}`);
    throw new ErasureFault(`left after the erasure: ${places.join(', ')}`);
  }
  const explained = found.flatMap((one) => explain(declared(one.database, one.table), one));
  const report = await reportOf(work, erasure, { cacheKeys: 0, found: explained });
  const { tenantId, userId } = erasedPerson(erasure);
  // Outside the databases, so that a restored one can be told. The real time: every name went before.
  await writePersonTombstone(
    services.blobs,
    { tenant_id: tenantId, user_id: userId, erasure_id: erasure.erasure_id },
    new Date(),
  );
  await complete(work, report, async (transaction) => {
    const isUsed = () => isErasedElsewhere(transaction, tenantId, userId);
    const isGone = await deleteUnusedAccount(transaction, userId, isUsed);
    return { ...report, account: isGone ? 'deleted' : 'kept' };
  });
  return 'moved';
}

async function isOnTheWay({ services, erasure }: ErasureWork, person: Person): Promise<boolean> {
  const named = await Promise.all(
    DATABASES.map((database) =>
      isNamedInOutbox(services.crossTenant[database], erasure.tenant_id, personPattern(person)),
    ),
  );
  return named.includes(true);
}

/** What a table still says of the person, with the reason. */
function explain(
  table: TenantTable | undefined,
  { database, table: name, naming }: TableFound,
): ErasureReport['found'] {
  if (naming === 0) return [];
  const kept = Object.values(table?.person ?? {}).find((what) => typeof what === 'object');
  return [{ database, table: name, rows: 0, naming, why: kept?.keep ?? WRITTEN_BY_CLIENTS }];
}
