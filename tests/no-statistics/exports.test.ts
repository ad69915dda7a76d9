import { beforeAll, describe, expect, it } from 'vitest';
import { tenantTables } from '../../functions/tenant-tables.ts';
import { exportBlobs } from '../../shared/domains/records/export-blobs.ts';
import { findOpen, findToDelete } from '../../shared/domains/tenancy/exports/export-ledger.ts';
import { DataKeyDestroyed } from '../../shared/platform/crypto/data-keys.ts';
import { isExported, openTable, type ExportPage } from '../../shared/platform/tenant-data/read-rows.ts';
import { addDays } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const TABLES = ['storage_records', 'mapper_requests', 'analysis_metrics'];
const PAGE = 200;

beforeAll(
  () =>
    fill(app.admin, ['archived_records', 'mapper_requests', 'analysis_metrics', 'blobs', 'tenant_exports']),
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
