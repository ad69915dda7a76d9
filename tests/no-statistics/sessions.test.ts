import { beforeAll, expect, it } from 'vitest';
import { sessionsExpire } from '../../shared/domains/identity/sessions/expire-job.ts';
import type { JobRun } from '../../shared/platform/jobs/job.ts';
import { addDays } from '../../shared/platform/time/clock.ts';
import { startTestApp } from '../harness/app.ts';
import { measuring, type Measured } from '../harness/measured-database.ts';
import { expectReads, fill } from './fill.ts';
import { BATCH, now } from './tables.ts';

const app = await startTestApp({ silent: ['timer', 'serviceBus', 'http'] });

beforeAll(async () => {
  // Their people do not matter here.
  for (const table of ['user_sessions', 'ops.user_tokens'])
    await app.admin.core.unsafe(`alter table ${table} disable trigger all`);
  await fill(app.admin, ['user_sessions', 'user_tokens']);
}, 300_000);

/** A run whose database counts, and whose time ends after some batches. */
function measuredRun(at: Date, batches = 99): { readonly run: JobRun; readonly measured: Measured[] } {
  const { database, measured } = measuring(app.services.crossTenant.core);
  let left = batches;
  const run: JobRun = {
    services: { ...app.services, crossTenant: { ...app.services.crossTenant, core: database } },
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

it('ended sessions and tokens are deleted, a few', async () => {
  const { run, measured } = measuredRun(now);
  expect(await sessionsExpire.run(run)).toBe('completed');
  expect(run.progress.details).toEqual({ sessions: BATCH, tokens: BATCH });
  expectReads(measured, { rows: BATCH, pages: 31 });
});

it('sessions are deleted where all have ended', async () => {
  const { run, measured } = measuredRun(addDays(now, 500), 2);
  expect(await sessionsExpire.run(run)).toBe('partial');
  expect(run.progress.details).toEqual({ sessions: 2_000, tokens: 0 });
  expectReads(measured, { rows: 1_000, pages: 23 });
});
