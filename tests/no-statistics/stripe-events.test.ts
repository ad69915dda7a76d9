import { beforeAll, expect, it } from 'vitest';
import { compareObjects } from '../../shared/domains/billing/events/compare-objects.ts';
import { processDue } from '../../shared/domains/billing/events/due-events.ts';
import { stripeEventsExpire } from '../../shared/domains/billing/events/expire-job.ts';
import type { JobRun } from '../../shared/platform/jobs/job.ts';
import { addDays } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring, type Measured } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });

beforeAll(() => fill(app.admin, ['stripe_events', 'billing_invoices']), 300_000);

/** A run whose billing database counts, and whose time ends after some batches. */
function measuredRun(at: Date, batches = 99): { readonly run: JobRun; readonly measured: Measured[] } {
  const { database, measured } = measuring(app.services.crossTenant.billing);
  let left = batches;
  const run: JobRun = {
    services: { ...app.services, crossTenant: { ...app.services.crossTenant, billing: database } },
    now: at,
    runId: 'run',
    progress: {
      cutoff: undefined,
      examined: 0,
      deleted: 0,
      kept_on_hold: 0,
      not_archived: 0,
      bytes: 0,
      details: {},
    },
    timeLeftMs: () => (left-- > 0 ? 60_000 : 0),
    position: () => Promise.resolve(undefined),
    savePosition: () => Promise.resolve(),
  };
  return { run, measured };
}

it('old payloads are forgotten, a few', async () => {
  const { run, measured } = measuredRun(now);
  await stripeEventsExpire.run(run);
  expect(run.progress).toMatchObject({ examined: BATCH, deleted: 0 });
  expectReads(measured, { rows: BATCH, pages: 31 });
});

it('due events are taken, a few', async () => {
  const { run, measured } = measuredRun(now);
  expect(await processDue(run, () => true)).toBe(true);
  expect(run.progress.examined).toBe(BATCH);
  // Twice: taking an event makes a version of its row, and the old one stays as long as any transaction may see it.
  expectReads(measured, { rows: 2 * BATCH, pages: 31 });
});

it('due events are taken where all are due', async () => {
  const { run, measured } = measuredRun(addDays(now, 2));
  let left = 5;
  expect(await processDue(run, () => left-- > 0)).toBe(false);
  // A batch is 100. The last one may pass the index entries of the four before it, see above.
  expectReads(measured, { rows: 500, pages: 31 });
});

it('open invoices are read for the comparison', async () => {
  const { run, measured } = measuredRun(now);
  const at = { comparing: { phase: 'invoices_here', after: '' } } as const;
  // There is no Stripe here: the page is read, and its objects cannot be compared.
  await expect(compareObjects(run, undefined as never, at, () => true)).rejects.toThrow();
  expectReads(measured, { rows: BATCH, pages: 31 });
});

it('rows are deleted where all are old', async () => {
  const { run, measured } = measuredRun(addDays(now, 500), 2);
  await stripeEventsExpire.run(run);
  expect(run.progress.deleted).toBe(1000);
  expectReads(measured, { rows: 500, pages: 23 });
});
