import { beforeAll, describe, expect, it } from 'vitest';
import { tenantTables } from '../../functions/tenant-tables.ts';
import {
  pseudonymiseEntries,
  TRAIL_START,
  type TrailPlace,
} from '../../shared/domains/audit/pseudonymise.ts';
import { listTables } from '../../shared/domains/erasure/catalogue.ts';
import { personPseudonyms, namesOf, withoutPerson } from '../../shared/domains/erasure/person-names.ts';
import {
  clearRows,
  erasePerson,
  eraseRows,
  openPlace,
  type PageDone,
} from '../../shared/domains/erasure/places.ts';
import { pseudonymsOf } from '../../shared/domains/erasure/pseudonyms.ts';
import { searchPage, type SearchedPage } from '../../shared/domains/erasure/search.ts';
import { searchPersonPage } from '../../shared/domains/erasure/search-person.ts';
import { exportBlobs } from '../../shared/domains/records/export-blobs.ts';
import { findOpen, findToDelete } from '../../shared/domains/tenancy/exports/export-ledger.ts';
import { inBatch } from '../../shared/platform/db/batch-transaction.ts';
import { DataKeyDestroyed } from '../../shared/platform/crypto/data-keys.ts';
import { isExported, openTable, type ExportPage } from '../../shared/platform/tenant-data/read-rows.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import { addDays } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, ids, now, ROWS } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const TABLES = ['storage_records', 'mapper_requests', 'analysis_metrics'];
const PAGE = 200;

beforeAll(
  () =>
    fill(app.admin, [
      'archived_records',
      'mapper_requests',
      'analysis_metrics',
      'blobs',
      'tenant_exports',
      'usage_records',
      'trail',
      'quarantine',
    ]),
  300_000,
);

const measuredServices = () => {
  const { database, measured } = measuring(app.services.crossTenant.core);
  const services = {
    ...app.services,
    crossTenant: { ...app.services.crossTenant, core: database },
    // The rows have no content that anybody could open.
    dataKeys: { find: () => Promise.reject(new DataKeyDestroyed('none')) },
  };
  return { services, measured };
};

type ReadPage = (after: readonly string[] | undefined) => Promise<ExportPage>;

/** Reads pages until the last, at most some. */
async function readSome(read: ReadPage, most: number): Promise<number> {
  let [rows, pages, after]: [number, number, readonly string[] | undefined] = [0, 0, undefined];
  do {
    const page = await read(after);
    rows += page.lines.length;
    pages += 1;
    after = page.next;
  } while (after !== undefined && pages < most);
  return rows;
}

describe.each(tenantTables.filter(({ table }) => TABLES.includes(table)).filter(isExported))(
  'exporting $table',
  (table) => {
    it.each([
      ['globex', BATCH, BATCH],
      ['acme', 3 * PAGE, PAGE],
    ])('reads of %s only its pages', async (tenantId, expected, rows) => {
      const { services, measured } = measuredServices();
      const read = await openTable(services, tenantId, table);
      measured.length = 0;
      expect(await readSome(read, 3)).toBe(expected);
      expectReads(measured, { rows, pages: 6 });
    });
  },
);

it.each([
  ['globex', BATCH, BATCH],
  ['acme', 300, 100],
])('exporting blobs of %s reads only their pages', async (tenantId, expected, rows) => {
  const { services, measured } = measuredServices();
  const blobs = { describe: () => Promise.resolve(undefined), read: () => Promise.resolve(undefined) };
  const read: ReadPage = (after) => exportBlobs({ ...services, blobs }, tenantId, 'x', after);
  expect(await readSome(read, 3)).toBe(expected);
  expectReads(measured, { rows, pages: 6 });
});

describe('the ledger of exports', () => {
  it('finds the next open export without reading the ended ones', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    expect(await findOpen(database, addDays(now, 1))).toMatchObject({ tenant_id: 'globex' });
    expectReads(measured, { rows: 1, pages: 8 });
  });

  it('finds those that are to go without reading the deleted ones', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    expect(await findToDelete(database, now, 20)).toHaveLength(20);
    expectReads(measured, { rows: 20, pages: 8 });
  });
});

/** Batches of a walk that need not come to its end. */
const SOME = 12;
/** The rows of the tenant that has nearly all. */
const OWN = ROWS - 2 * BATCH;
const [userId = ''] = ids;
const person = { userId, email: 'ada@example.com' };

/** Opens a place of a new erasure, and returns its key. */
async function begin(scope: 'tenant' | 'person', database: 'core' | 'billing', place: string) {
  await app.admin.core`delete from ops.erasures where tenant_id = 'acme'`;
  const [row] = await app.admin.core`
    insert into ops.erasures (tenant_id, erasure_id, scope, person_id, status, step, requested_by, requested_at, pseudonym_key)
    values ('acme', gen_random_uuid(), ${scope}, ${scope === 'tenant' ? null : newId(now)}, 'running', 'audit', 'operator', now(), '\\x00')
    returning tenant_id, erasure_id`;
  const of = { tenant_id: 'acme', erasure_id: String(row?.['erasure_id']) };
  await openPlace(app.services.crossTenant[database], of, place);
  return of;
}

/** Runs batches to the end, at most some, each measured. Returns what they did. */
async function walk(
  batch: () => Promise<PageDone>,
  most = Infinity,
): Promise<{ readonly done: number; readonly batches: number }> {
  let [done, batches, isOver] = [0, 0, false];
  while (!isOver && batches < most) {
    const page = await batch();
    [done, batches, isOver] = [done + page.done, batches + 1, page.is_over];
  }
  return { done, batches };
}

/** Searches a table's first pages, each measured. */
async function searchSome(
  page: (after: readonly string[] | undefined) => Promise<SearchedPage>,
): Promise<number> {
  let [own, after]: [number, readonly string[] | undefined] = [0, undefined];
  for (let pages = 0; pages < SOME; pages++) {
    const found = await page(after);
    [own, after] = [own + found.own, found.next];
    if (after === undefined) break;
  }
  return own;
}

describe('erasing a person in a large tenant', () => {
  const LOOKS = 2_000;

  it.each([
    ['core', 'mapper_requests', 'reviewed_by'],
    ['billing', 'usage_records', 'user_id'],
  ] as const)('looks at each row of %s %s once', async (name, table, column) => {
    const { database, measured } = measuring(app.services.crossTenant[name]);
    const sql = app.admin[name];
    await sql.unsafe(
      `update ${table} set ${column} = $1 where ctid = any (array(
      select max(ctid) from ${table} where tenant_id = 'acme' union select min(ctid) from ${table} where tenant_id = 'acme'))`,
      [userId],
    );
    const of = await begin('person', name, `${table}.${column}`);
    const { byName: names, asId } = personPseudonyms(Buffer.from('key'), person);
    const walked = await walk(() => erasePerson(database, of, { table, column, names, asId }, LOOKS));
    expect(walked).toEqual({ done: 2, batches: Math.ceil((OWN + 1) / LOOKS) });
    expectReads(measured, { rows: LOOKS, pages: 2 });
  });

  it('looks at each row of a table in the order of no tenant once', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    const of = await begin('person', 'core', 'ops.quarantine.resolved_by');
    const change = { table: 'ops.quarantine', column: 'resolved_by', names: namesOf(person), asId: userId };
    expect(await walk(() => erasePerson(database, of, change, LOOKS))).toMatchObject({ done: 0 });
    expectReads(measured, { rows: LOOKS, pages: 2 });
  });

  it('rewrites each entry of the trail once', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    const of = await begin('person', 'core', 'audit_logs');
    const change = withoutPerson(person);
    const pseudonym = pseudonymsOf(Buffer.from('key'));
    let after: TrailPlace | undefined = TRAIL_START;
    for (let page = 0; page < 3 && after !== undefined; page++) {
      const from: TrailPlace = after;
      after = await inBatch(database, (transaction) =>
        pseudonymiseEntries(
          transaction,
          { tenantId: of.tenant_id, erasureId: of.erasure_id },
          { after: from, limit: 500 },
          (facts) => change(facts, pseudonym),
        ),
      );
    }
    const [row] = await app.admin
      .core`select done from ops.erasure_places where erasure_id = ${of.erasure_id}`;
    expect(row).toEqual({ done: '1500' });
    expectReads(measured, { rows: 500, pages: 7 });
  });

  it.each([
    ['core', 'mapper_requests'],
    ['core', 'ops.quarantine'],
    ['billing', 'usage_records'],
  ] as const)('searches %s %s in bounded pages', async (name, table) => {
    const { database, measured } = measuring(app.services.crossTenant[name]);
    const found = (await listTables(database)).find((one) => one.name === table);
    if (found === undefined) throw new Error('no such table');
    const given = { tenantId: 'acme', person, columns: {} };
    expect(await searchSome((after) => searchPersonPage(database, found, given, after))).toBe(0);
    expectReads(measured, { rows: LOOKS, pages: 2 });
  });
});

describe('erasing a large tenant', () => {
  const LOOKS = 1_000;
  beforeAll(() => app.admin.core`update tenants set status = 'erased' where tenant_id = 'acme'`);

  it('clears rows that stay, each once', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    const of = await begin('tenant', 'core', 'ops.tenant_exports');
    const cleared = { requested_by: '' };
    const walked = await walk(() => clearRows(database, of, 'ops.tenant_exports', cleared, LOOKS), SOME);
    expect(walked).toEqual({ done: SOME * LOOKS, batches: SOME });
    expectReads(measured, { rows: LOOKS, pages: 6 });
  });

  it('searches for it in bounded pages', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    const found = (await listTables(database)).find(({ name }) => name === 'storage_records');
    if (found === undefined) throw new Error('no such table');
    expect(await searchSome((after) => searchPage(database, found, 'acme', after))).toBe(SOME * 2_000);
    expectReads(measured, { rows: 2_000, pages: 2 });
  });

  it.each([
    ['core', 'mapper_requests'],
    ['core', 'storage_records'],
    ['billing', 'usage_records'],
  ] as const)('deletes %s %s without reading the deleted ones again', async (name, table) => {
    const { database, measured } = measuring(app.services.crossTenant[name]);
    const of = await begin('tenant', name, table);
    const walked = await walk(() => eraseRows(database, of, table, LOOKS), SOME);
    expect(walked).toEqual({ done: SOME * LOOKS, batches: SOME });
    expectReads(measured, { rows: LOOKS, pages: 6 });
  });
});
