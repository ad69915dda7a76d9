import { expect, test } from 'vitest';
import { runDrill } from './drill.ts';
import { askForPart } from '../harness/ask.ts';

/** A bound: the drill takes about a minute. */
const DRILL_MS = 240_000;

test(
  'after a restore to three moments and its mending, each answered write is there or listed, and nothing is doubled',
  { timeout: DRILL_MS },
  async () => {
    const { dir: appDir } = await askForPart('app');
    // The drill kills Redis’ clients and Stripe’s stand-in with its stack, so it has its own.
    delete process.env['REDIS_URL'];
    delete process.env['STRIPE_SECRET_KEY'];
    const rounds = await runDrill({
      appDir,
      mend: true,
      perSecond: 15,
      stageMs: 1_500,
      onStep: (step) => process.stdout.write(`${step}\n`),
    });
    for (const { before, wrong, report } of rounds) {
      expect(wrong).toEqual([]);
      // What is mended was wrong before, and each store was ahead or behind.
      expect(before.length).toBeGreaterThan(10);
      expect(report.findings.length).toBeGreaterThan(10);
    }
    const kinds = new Set(rounds.flatMap(({ report }) => report.findings.map(({ kind }) => kind)));
    expect([...kinds]).toEqual(
      expect.arrayContaining([
        'usage_behind',
        'usage_ahead',
        'blob_ahead',
        'standing_stale',
        'stripe_behind',
        'units_ahead',
        'roll_up_differs',
        'act_undone',
        'act_to_repeat',
        'restore_unnoted',
      ]),
    );
  },
);
