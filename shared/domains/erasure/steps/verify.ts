import { z } from 'zod';
import { listDataKeys } from '../../../platform/crypto/destroy-keys.ts';
import { PLATFORM_TENANT } from '../../../platform/auth/principal.ts';
import { AUDIT_RECORDED, newEvent, type AuditData } from '../../../platform/bus/events.ts';
import type { DatabaseName } from '../../../platform/call/call.ts';
import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';
import { addToOutbox, newEntry } from '../../../platform/writes/outbox.ts';
import { remainingBlobs } from '../blob-list.ts';
import { listTables, type SearchedTable } from '../catalogue.ts';
import { completeErasure, finishStep, lockPosition, savePosition, type Erasure } from '../ledger.ts';
import { readPlaces, reopenPlaces } from '../places.ts';
import type { ErasureReport } from '../schemas.ts';
import { searchPage, type SearchedPage } from '../search.ts';
import type { StepName } from '../steps.ts';
import { listTenantBlobs } from '../tenant-blobs.ts';
import { ErasureFault, type ErasureWork, type StepOutcome } from '../work.ts';
import { countCacheKeys } from './cache.ts';

export const DATABASES: readonly DatabaseName[] = ['core', 'billing', 'analytics'];
const ACTOR = 'job:tenant-erasures';

/** What others keep of the tenant. */
const NAMED_BY_OTHERS =
  'Rows of the platform or of others name the tenant: acts of operators, or texts of others.';

const tableFound = z.object({
  database: z.enum(['core', 'billing', 'analytics']),
  table: z.string(),
  own: z.number(),
  naming: z.number(),
});
export type TableFound = z.output<typeof tableFound>;

/** Searches the next page of a table. */
export type PageSearch = (
  database: DatabaseName,
  table: SearchedTable,
  after: readonly string[] | undefined,
) => Promise<SearchedPage>;
const searchPosition = z
  .object({
    found: z.array(tableFound).default([]),
    running: tableFound.extend({ after: z.array(z.string()) }).optional(),
  })
  .catch({ found: [] });

/**
 * Searches every table of the three databases, every blob's name and every key in Redis for the tenant. Ends the erasure with the
 * report. If something is left that should not be, it goes back to the step that removes it, and says so.
 */
export async function verifyTenant(work: ErasureWork): Promise<StepOutcome> {
  const { erasure } = work;
  const found = await searchTables(work, (database, table, after) =>
    searchPage(work.services.crossTenant[database], table, erasure.tenant_id, after),
  );
  if (found === undefined) return 'more';
  const explained = found.flatMap((one) => explain(work, one));
  const unexplained = explained.filter(({ why }) => why === '');
  const unlisted = await countUnlisted(work);
  const cacheKeys = await countCacheKeys(work);
  if (unexplained.length > 0 || unlisted > 0 || cacheKeys > 0) {
    await goBack(work, 'blobs_listed');
    const places = unexplained.map(({ database, table, rows }) => `${rows} rows in ${database} ${table}`);
    if (unlisted > 0) places.push(`${unlisted} blobs`);
    if (cacheKeys > 0) places.push(`${cacheKeys} keys in Redis`);
    throw new ErasureFault(`left after the erasure: ${places.join(', ')}`);
  }
  await complete(work, await reportOf(work, erasure, { cacheKeys, found: explained }));
  return 'moved';
}

/** Searches all tables, page by page. Undefined if the run's time ended before. */
export async function searchTables(work: ErasureWork, search: PageSearch): Promise<TableFound[] | undefined> {
  const { services, erasure } = work;
  const { core } = services.crossTenant;
  const stored = await core.transaction((transaction) => lockPosition(transaction, erasure));
  const { found, running } = searchPosition.parse(stored ?? {});
  const done = new Map(found.map((one) => [`${one.database} ${one.table}`, one]));
  let current = running;
  for (const database of DATABASES) {
    const listed = await listTables(services.crossTenant[database]);
    const tables = listed.filter(({ can_read: canRead, can_write: canWrite }) => canRead || canWrite);
    const closed = tables.filter(({ can_read: canRead, key }) => !canRead || key.length === 0);
    if (closed.length > 0)
      throw new ErasureFault(`cannot search ${database} ${closed.map(({ name }) => name).join(', ')}`);
    for (const table of tables) {
      if (done.has(`${database} ${table.name}`)) continue;
      const isRunning = current?.database === database && current.table === table.name;
      const begun = isRunning ? current : undefined;
      const page = (after: readonly string[] | undefined) => search(database, table, after);
      const result = await searchTable(work, { database, table, begun, page }, (place) =>
        savePosition(core, erasure, { found: [...done.values()], running: place }),
      );
      if (result === undefined) return undefined;
      current = undefined;
      done.set(`${database} ${table.name}`, result);
      await savePosition(core, erasure, { found: [...done.values()] });
    }
  }
  return [...done.values()];
}

async function searchTable(
  { hasTime }: ErasureWork,
  given: {
    readonly database: DatabaseName;
    readonly table: SearchedTable;
    readonly begun: (TableFound & { readonly after: readonly string[] }) | undefined;
    readonly page: (after: readonly string[] | undefined) => Promise<SearchedPage>;
  },
  save: (place: TableFound & { readonly after: readonly string[] }) => Promise<void>,
): Promise<TableFound | undefined> {
  const { database, table, begun } = given;
  let { own = 0, naming = 0 } = begun ?? {};
  let after = begun?.after;
  for (;;) {
    if (!hasTime()) return undefined;
    const page = await given.page(after);
    own += page.own;
    naming += page.naming;
    const sum = { database, table: table.name, own, naming };
    if (page.next === undefined) return sum;
    after = page.next;
    await save({ ...sum, after });
  }
}

/** A table's finding with the reason why it stays; an empty one for rows that should not be there. */
function explain(work: ErasureWork, { database, table, own, naming }: TableFound): ErasureReport['found'] {
  if (own === 0 && naming === 0) return [];
  const declared = work.tables.find((one) => one.database === database && one.table === table);
  const kept = declared === undefined || declared.onErasure === 'delete' ? '' : declared.onErasure.keep;
  return [{ database, table, rows: own, naming, why: own > 0 ? kept : NAMED_BY_OTHERS }];
}

/** Blobs of the tenant that are not on the list of those that stay. */
async function countUnlisted({ services, erasure }: ErasureWork): Promise<number> {
  let found = 0;
  for await (const page of listTenantBlobs(services, erasure.tenant_id)) found += page.length;
  const { remaining } = await remainingBlobs(services.crossTenant.core, erasure);
  return Math.max(0, found - remaining);
}

/** The first step that removes anything. What is gone already takes no time. */
export async function goBack({ services, erasure, now }: ErasureWork, to: StepName): Promise<void> {
  for (const database of DATABASES) await reopenPlaces(services.crossTenant[database], erasure);
  await finishStep(services.crossTenant.core, erasure, to, {}, now);
}

/** What was done, and what is left. */
export async function reportOf(
  { services }: ErasureWork,
  of: Erasure,
  search: { readonly cacheKeys: number; readonly found: ErasureReport['found'] },
): Promise<ErasureReport> {
  const { crossTenant } = services;
  const keys = of.scope === 'tenant' ? await listDataKeys(crossTenant.core, of.tenant_id) : [];
  const places = await Promise.all(
    DATABASES.map(async (database) =>
      (await readPlaces(crossTenant[database], of)).map(({ place, done }) => ({ database, place, done })),
    ),
  );
  return {
    keys: keys.map(({ key_id, created_at, destroyed_at, versions }) => ({
      key_id,
      created_at,
      destroyed_at,
      versions: [...versions],
    })),
    places: places.flat(),
    blobs: await remainingBlobs(crossTenant.core, of),
    cache_keys: search.cacheKeys,
    found: search.found,
  };
}

/**
 * Ends the erasure, with what else belongs to its end. The platform's audit trail says so, in the same transaction; for a person, the
 * tenant's own.
 */
export async function complete(
  { services, erasure, now }: ErasureWork,
  report: ErasureReport,
  atEnd: (transaction: CrossTenantTransaction) => Promise<ErasureReport> = () => Promise.resolve(report),
): Promise<void> {
  const trail = erasure.scope === 'tenant' ? PLATFORM_TENANT : erasure.tenant_id;
  const data: AuditData = {
    tenant_id: trail,
    actor: ACTOR,
    action: `${erasure.scope}.erased`,
    resource_type: 'erasure',
    resource_id: erasure.erasure_id,
    outcome: 'success',
    details: { tenant_id: erasure.tenant_id, blobs_remaining: report.blobs.remaining },
  };
  // The real time, not the run's: a queue refuses events from the future.
  const at = new Date();
  const entry = newEntry('core', trail, [newEvent(AUDIT_RECORDED, data, at)], at);
  const isFirst = await services.crossTenant.core.transaction(async (transaction) => {
    // Locks the ledger's row: of two runs, one ends it.
    if ((await lockPosition(transaction, erasure)) === undefined) return false;
    const ended = await completeErasure(transaction, erasure, await atEnd(transaction), now);
    if (ended) await addToOutbox(transaction, [entry]);
    return ended;
  });
  if (isFirst) services.publisher.publish(entry);
}
