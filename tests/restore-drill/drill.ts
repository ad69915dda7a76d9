import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { takeBaseBackup } from '../../dev/postgres/base-backup.ts';
import { archiveAll, makeWalArchive } from '../../dev/postgres/wal-archive.ts';
import { findFreePort } from '../../dev/processes/free-port.ts';
import { startStack, type Stack } from '../../dev/stack/start-stack.ts';
import { Ledger } from '../faults/ledger.ts';
import { Load } from '../faults/load.ts';
import { openRandom } from '../faults/random.ts';
import { openPeople, type People } from './people.ts';
import { runRound, type RoundResult } from './round.ts';
import { openScene, RETURN_ORIGIN, type Scene } from './scene.ts';
import { readBaseline, settle } from './settle.ts';
import type { Database } from './restored-stack.ts';

/** How the drill runs. */
export interface DrillOptions {
  readonly appDir: string;
  /** False shows what is wrong after a restore that nobody reconciles. */
  readonly mend: boolean;
  /** New writes a second. */
  readonly perSecond: number;
  /** Between two moments. */
  readonly stageMs: number;
  readonly onStep: (step: string) => void;
}

/** The moments of the two restores: which of the three recovered moments each database gets. */
const ROUNDS: readonly Readonly<Record<Database, 0 | 1 | 2>>[] = [
  { core: 0, billing: 2, analytics: 1 },
  { core: 2, billing: 0, analytics: 1 },
];
/** How long a message stays locked that the destroyed app had; in Azure it is five minutes. */
const LOCK_MS = 4_000;
/**
 * The runbook stops the first timer. The second one reads the last quarter of an hour of Stripe's events again, and this drill is
 * shorter than that: after a real restore it would not find what is lost.
 */
const SETTINGS = {
  'AzureWebJobs.usage-report.Disabled': 'true',
  'AzureWebJobs.stripe-reconcile.Disabled': 'true',
  BILLING_RETURN_ORIGINS: RETURN_ORIGIN,
};

/** What happened while the load ran. */
interface Past {
  readonly ledger: Ledger;
  readonly moments: readonly Date[];
}

/**
 * Takes a base backup under load and archives the log, destroys the server, and restores the three databases to three moments, twice:
 * first core is the oldest one, then billing. After each restore it reconciles, and compares everything with the client's ledger.
 */
export async function runDrill(options: DrillOptions): Promise<readonly RoundResult[]> {
  const { appDir, onStep } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'comply-drill-'));
  const archive = makeWalArchive();
  onStep('start the stack, with an archive of its write-ahead log');
  const stack = await startStack({
    folder,
    appDir,
    durable: false,
    queues: { lockDurationMs: LOCK_MS },
    port: await findFreePort(),
    postgresSettings: archive.serverSettings,
    settings: SETTINGS,
  });
  let scene: Scene | undefined;
  try {
    scene = await openScene(stack);
    const people = await openPeople(scene);
    await settle(stack.settings, scene);
    const baseline = await readBaseline(stack.adminUrls.billing);
    // The client's clock shows how long it runs, and a moment is a time of day.
    const origin = Date.now() - performance.now();
    const { past, backup } = await live({ stack, scene, people, archive, options });
    onStep('destroy the server and its data');
    await stack.host.kill();
    await stack.postgres.kill();
    rmSync(path.join(folder, 'postgres'), { recursive: true, force: true });
    const results: RoundResult[] = [];
    for (const [n, round] of ROUNDS.entries()) {
      const moments = {
        core: past.moments[round.core] ?? new Date(0),
        billing: past.moments[round.billing] ?? new Date(0),
        analytics: past.moments[round.analytics] ?? new Date(0),
      };
      const from = { backup, archive, appDir, name: `restored-${n + 1}` };
      const clockOf = (at: Date): number => at.getTime() - origin;
      const of = { stack, scene, people, ledger: past.ledger, baseline, clockOf, mend: options.mend, onStep };
      results.push(await runRound(of, from, moments));
    }
    return results;
  } finally {
    scene?.client.close();
    await stack.stop();
    archive.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The load, the backup, and the three moments with what happens after each. */
async function live({
  stack,
  scene,
  people,
  archive,
  options,
}: {
  readonly stack: Stack;
  readonly scene: Scene;
  readonly people: People;
  readonly archive: ReturnType<typeof makeWalArchive>;
  readonly options: DrillOptions;
}): Promise<{ past: Past; backup: Awaited<ReturnType<typeof takeBaseBackup>> }> {
  const { onStep, perSecond, stageMs } = options;
  const ledger = new Ledger();
  const load = new Load({
    client: scene.client,
    tenants: scene.tenants,
    ledger,
    random: openRandom(),
    perSecond,
  });
  const moments: Date[] = [];
  try {
    onStep('base backup under load');
    const backup = await takeBaseBackup(stack.postgres, path.join(archive.folder, 'base'));
    onStep(`  ${Math.round(backup.bytes / 2 ** 20)} MB by ${backup.by}`);
    for (const act of [people.afterFirst, people.afterSecond, people.afterThird]) {
      await people.probe();
      await delay(stageMs);
      moments.push(new Date());
      onStep(`moment ${moments.length}: ${moments.at(-1)?.toISOString()}`);
      await act();
    }
    await delay(stageMs / 2);
    await archiveAll(stack.postgres, archive);
    return { past: { ledger, moments }, backup };
  } finally {
    await load.stop();
  }
}
