import { beforeAll, describe, expect, it } from 'vitest';
import { expiringTables } from '../../functions/expiring-tables.ts';
import { deleteExpired, WALK_START } from '../../shared/domains/retention/delete-expired.ts';
import { addDays } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });

// What goes with a row, by a foreign key's trigger too, is filled as well.
beforeAll(
  () =>
    fill(app.admin, [
      'archived_records',
      'mapper_requests',
      'mapper_responses',
      'orchestration_requests',
      'orchestration_responses',
      'detector_results',
      'analysis_requests',
      'analysis_responses',
      'analysis_metrics',
    ]),
  300_000,
);

/** Pages a row; the most where others go with it. */
const PAGES: Readonly<Record<string, number>> = {
  storage_records: 9,
  mapper_requests: 18,
  orchestration_requests: 19,
  analysis_requests: 13,
  analysis_metrics: 6,
};

describe.each(expiringTables)('deleting expired rows of $table', (of) => {
  const pages = PAGES[of.table] ?? 0;

  it('reads only the expired ones if there are a few', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    expect(await deleteExpired(database, of, now, WALK_START)).toMatchObject({ deleted: BATCH });
    expectReads(measured, { rows: BATCH, pages });
  });

  it('reads only its batches if all have expired', async () => {
    const { database, measured } = measuring(app.services.crossTenant.core);
    let after = WALK_START;
    for (let batch = 1; batch <= 2; batch++) {
      const { examined, deleted, next } = await deleteExpired(database, of, addDays(now, 100), after);
      expect(examined).toBe(1000);
      // A mapping stays as long as its record, which most still have.
      if (of.table !== 'mapper_requests') expect(deleted).toBe(1000);
      after = next ?? WALK_START;
    }
    expectReads(measured, { rows: 1000, pages });
  });
});
