import { beforeAll, describe, expect, it } from 'vitest';
import { orchestrationOfMappingSql } from '../../shared/domains/mapping/ids.ts';
import { archiveRecords } from '../../shared/domains/records/archive/archive-records.ts';
import { requestForgottenArchives } from '../../shared/domains/records/archive/request-archives.ts';
import { bookDeletions, bookLooks } from '../../shared/domains/records/blobs/book-blobs.ts';
import { findDueBlobs, findKept } from '../../shared/domains/records/blobs/due-blobs.ts';
import { lockBooked } from '../../shared/domains/records/blobs/lock-blobs.ts';
import { bookRestored, findNewest, findNext } from '../../shared/domains/records/blobs/verified-blobs.ts';
import { moveKeptRows } from '../../shared/domains/records/expiry/kept-rows.ts';
import { inBatch } from '../../shared/platform/db/batch-transaction.ts';
import { addDays, HOUR_MS } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill, pagesOfAnywhere } from './fill.ts';
import { BATCH, ids, now, today } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { core } = app.admin;
const { crossTenant } = app.services;

beforeAll(
  () =>
    fill(app.admin, ['storage_records', 'blobs', 'mapper_requests', 'orchestration_requests', 'core_outbox']),
  300_000,
);

const measure = () => measuring(crossTenant.core);
const servicesOn = (database: typeof crossTenant.core) => ({
  ...app.services,
  crossTenant: { ...crossTenant, core: database },
  publisher: { publish: () => undefined },
});
/** Half an hour ago: the batch's rows are older, all others younger. */
const before = new Date(now.getTime() - HOUR_MS / 2);
const later = new Date(now.getTime() + HOUR_MS);

describe('requesting forgotten archives', () => {
  it('reads only the forgotten records if there are a few', async () => {
    const { database, measured } = measure();
    expect(await requestForgottenArchives(servicesOn(database), now, () => 1000)).toBe(BATCH);
    expectReads(measured, { rows: BATCH, pages: 9 });
  });

  it('reads only its pages if all are forgotten', async () => {
    const { database, measured } = measure();
    const left = [1000, 1000, 0];
    expect(await requestForgottenArchives(servicesOn(database), later, () => left.shift() ?? 0)).toBe(1000);
    expectReads(measured, { rows: 500, pages: 6 });
  });
});

describe('finding due blobs', () => {
  it('reads only its page if all are due', async () => {
    const { database, measured } = measure();
    expect(await findDueBlobs(database, addDays(now, 100), 200)).toHaveLength(200);
    expectReads(measured, { rows: 200, pages: 1 });
  });

  it('reads only the due ones if there are a few, also to lock, update and delete them', async () => {
    const { database, measured } = measure();
    const due = await findDueBlobs(database, now, 200);
    expect(due).toHaveLength(BATCH);
    await inBatch(database, async (transaction) => {
      expect(await lockBooked(transaction, due)).toHaveLength(BATCH);
      await findKept(transaction, due);
    });
    const looks = due.map((blob) => ({ blob, tier: 'Cool' as const, nextCheckAt: now, missing: true }));
    await bookLooks(database, looks, now);
    const over = due.slice(0, BATCH / 2);
    const booked = await inBatch(database, (transaction) => bookDeletions(transaction, over, now));
    expect(booked).toHaveLength(over.length);
    expectReads(measured, { rows: BATCH, pages: 23 });
  });
});

describe('verifying blobs', () => {
  it.each([
    ['there are a few', before],
    ['all were written at the same instant', later],
  ])('reads only its pages of the newest: %s', async (_, instant) => {
    const { database, measured } = measure();
    let after = { at: '-infinity', tenant: '', name: '' };
    for (let page = 1; page <= 3; page++)
      after = (await findNewest(database, after, instant, BATCH)).next ?? after;
    expectReads(measured, { rows: BATCH, pages: 3 });
  });

  it('reads only its page in the order of the keys, also to book restored ones', async () => {
    const { database, measured } = measure();
    const { blobs } = await findNext(database, { tenant: 'globex', container: '', name: '' }, later, BATCH);
    await inBatch(database, async (transaction) => {
      const booked = await lockBooked(transaction, blobs);
      expect(booked).toHaveLength(BATCH / 2);
      await bookRestored(transaction, booked, now);
    });
    expectReads(measured, { rows: BATCH, pages: 14 });
  });
});

it('moving records that must stay reads only its batches if none is archived', async () => {
  const { database, measured } = measure();
  const left = [1000, 1000, 0];
  const { moved } = await moveKeptRows(database, today, addDays(now, 100), () => left.shift() ?? 0);
  expect(moved).toBe(4000);
  expectReads(measured, { rows: 2000, pages: 22 });
});

describe('archiving records', () => {
  it('reads only their own rows if their ids contain their days', async () => {
    const { database, measured } = measure();
    const wanted = ids.slice(0, 20).map((id) => ({ tenant_id: 'globex', record_id: id }));
    expect(
      (await archiveRecords(servicesOn(database), orchestrationOfMappingSql, wanted, now)).archived,
    ).toBe(20);
    expectReads(measured, { rows: 20, pages: 49 });
  });

  it('reads a few pages of each partition if their ids contain no day, as imported ones', async () => {
    const imported = await core<{ record_id: string }[]>`
      select tenant_id, id as record_id from storage_records
       where tenant_id = 'initech' and partition_day = ${today} limit 8`;
    const wanted = imported.map(({ record_id }) => ({ tenant_id: 'initech', record_id }));
    const { database, measured } = measure();
    expect(
      (await archiveRecords(servicesOn(database), orchestrationOfMappingSql, wanted, now)).archived,
    ).toBe(8);
    expectReads(measured, { rows: 8, pages: await pagesOfAnywhere(core) });
  });
});
