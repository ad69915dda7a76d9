import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { dropPastPartitions } from '../../shared/domains/records/expiry/drop-partitions.ts';
import { moveKeptRows } from '../../shared/domains/records/expiry/kept-rows.ts';
import { addDays, HOUR_MS } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, today } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });
const { core } = app.admin;

beforeAll(() => fill(app.admin, ['half_past_records', 'mapper_requests', 'orchestration_requests']), 300_000);

const measure = () => measuring(app.services.crossTenant.core);
const cutoff = (hours: number) => new Date(addDays(new Date(today), 90).getTime() + hours * HOUR_MS);
const idsOf = async (tenant: string, offset: number) => {
  const rows = await core<{ id: string }[]>`
    select id from storage_records where tenant_id = ${tenant} and partition_day = ${today}
     order by id limit ${BATCH} offset ${offset}`;
  return rows.map(({ id }) => id);
};
const hold = (scope: object) => core`
  insert into legal_holds (tenant_id, hold_id, name, reason, scope, placed_by)
  values ('acme', ${randomUUID()}, 'n', 'r', ${core.json(scope as never)}, 't')`;

it('the check of a partition of which half expires later reads only the rows that decide', async () => {
  const { database, measured } = measure();
  const dropped = await dropPastPartitions(database, cutoff(1), () => 1000);
  expect(dropped).toMatchObject({ partitions: 0, moved: 0 });
  expectReads(measured, { rows: 1000, pages: 1 });
});

describe('moving rows that must stay', () => {
  async function moveTwice(at: Date) {
    const { database, measured } = measure();
    const left = [1000, 1000, 0];
    const { moved } = await moveKeptRows(database, today, at, () => left.shift() ?? 0);
    expectReads(measured, { rows: 2000, pages: 20 });
    return moved;
  }

  it('reads only its batches if a hold covers nearly all', async () => {
    await hold({});
    // As many of each reason as a batch has: the rows that expire later are moved too.
    expect(await moveTwice(cutoff(24))).toBe(4000 + BATCH);
    await core`delete from legal_holds`;
  });

  it('reads only its batches if half expire later', async () => {
    expect(await moveTwice(cutoff(11))).toBe(4000);
  });
});

it('dropping a partition reads only the few rows that must stay, for each reason', async () => {
  await hold({ record_ids: await idsOf('acme', 0) });
  await core`
    insert into data_retention_policies (tenant_id, policy_id, data_type, retention_days, auto_delete, applied_at)
    values ('initech', ${randomUUID()}, 'storage_records', 90, false, now() + interval '1 day')`;
  await core`
    update storage_records set archived_at = null
     where tenant_id = 'acme' and partition_day = ${today} and id = any(${await idsOf('acme', 1000)})`;
  // As many expire later: ten times as many that do not are looked for.
  await core`
    update storage_records set expires_at = ${cutoff(100)}
     where tenant_id = 'acme' and partition_day = ${today} and id = any(${await idsOf('acme', 2000)})`;
  const keptByPolicy = await idsOf('initech', 0);
  const { database, measured } = measure();
  const dropped = await dropPastPartitions(database, cutoff(13), () => 1000);
  expect(dropped).toMatchObject({ partitions: 1, moved: 3 * BATCH + keptByPolicy.length, finished: true });
  expectReads(measured, { rows: 4 * BATCH, pages: 23 });
});
