import type { BaseBackup } from '../../dev/postgres/base-backup.ts';
import type { WalArchive } from '../../dev/postgres/wal-archive.ts';
import type { Stack } from '../../dev/stack/start-stack.ts';
import { PLATFORM_TENANT } from '../../shared/platform/auth/principal.ts';
import { HOUR_MS } from '../../shared/platform/time/clock.ts';
import { withConnection } from '../../tools/migrate/connect.ts';
import { KINDS } from '../../tools/reconcile/findings.ts';
import type { ReconcileReport } from '../../tools/reconcile/reconcile.ts';
import type { Ledger } from '../faults/ledger.ts';
import { compareWithLedger } from './compare.ts';
import type { People } from './people.ts';
import { startRestored, type Database, type RestoredStack } from './restored-stack.ts';
import { INCLUDED_CALLS, type Scene } from './scene.ts';
import { settle } from './settle.ts';

/** After a day, abandoned reservations are released. */
const ABANDONED_MS = 25 * HOUR_MS;

/** One restore, and what was wrong after it. */
export interface RoundResult {
  readonly moments: Readonly<Record<Database, string>>;
  /** Until the app answered on the restored servers. */
  readonly restoredMs: number;
  /** The report of the run that mends. */
  readonly report: ReconcileReport;
  /** Differences before anything is mended. */
  readonly before: readonly string[];
  /** Differences at the end. There must be none. */
  readonly wrong: readonly string[];
}

interface Round {
  readonly stack: Stack;
  readonly scene: Scene;
  readonly people: People;
  readonly ledger: Ledger;
  readonly baseline: ReadonlyMap<string, number>;
  readonly clockOf: (at: Date) => number;
  readonly mend: boolean;
  readonly onStep: (step: string) => void;
}

/** Restores the three databases to their moments, reconciles, and compares everything with what clients were answered. */
export async function runRound(
  round: Round,
  from: {
    readonly backup: BaseBackup;
    readonly archive: WalArchive;
    readonly name: string;
    readonly appDir: string;
  },
  moments: Readonly<Record<Database, Date>>,
): Promise<RoundResult> {
  const { stack, scene, onStep, mend } = round;
  const until = new Date();
  onStep(
    `restore: ${Object.entries(moments)
      .map(([name, at]) => `${name} ${at.toISOString()}`)
      .join(', ')}`,
  );
  const begun = performance.now();
  const restored = await startRestored(stack, from, moments);
  const restoredMs = performance.now() - begun;
  try {
    await settle(restored.settings, scene);
    onStep('reconcile: compare');
    const found = await restored.reconcile({ mend: false, until });
    const before = await compare(round, restored, found);
    onStep(`  ${before.length} differences to the client’s ledger`);
    const charged = await scene.countedUnits();
    const report = mend ? await mendAll(round, restored, until) : found;
    await scene.runJob('free-tier-reset', new Date(Date.now() + ABANDONED_MS));
    await scene.runJob('usage-report');
    const rows = await compare(round, restored, report);
    const wrong = [
      ...(await compareUnits(round, restored, charged)),
      ...(await compareAgain(restored, until)),
      // Last: it writes again.
      ...(await comparePeople(round, restored, report)),
      ...rows,
    ];
    onStep(`  ${wrong.length} differences at the end`);
    return {
      moments: {
        core: moments.core.toISOString(),
        billing: moments.billing.toISOString(),
        analytics: moments.analytics.toISOString(),
      },
      restoredMs,
      report,
      before,
      wrong,
    };
  } finally {
    await restored.stop();
  }
}

async function mendAll(
  { scene, onStep }: Round,
  restored: RestoredStack,
  until: Date,
): Promise<ReconcileReport> {
  onStep('reconcile: mend');
  const report = await restored.reconcile({ mend: true, until });
  for (const { kind, tenantId, count, mended } of report.findings)
    onStep(`  ${kind} ${tenantId ?? ''}: ${count}${mended ? '' : ' (listed)'}`);
  await settle(restored.settings, scene);
  return report;
}

function compare(round: Round, restored: RestoredStack, report: ReconcileReport): Promise<readonly string[]> {
  const { ledger, baseline, clockOf, scene, stack } = round;
  const tenants = scene.tenants.map(({ tenantId }) => tenantId);
  return compareWithLedger({ ledger, restored, blob: stack.blob, tenants, baseline, report, clockOf });
}

/** No unit is charged twice, and none is forgotten. */
async function compareUnits({ scene }: Round, restored: RestoredStack, before: number): Promise<string[]> {
  const used = await withConnection(restored.adminUrls.billing, async (client) => {
    const { rows } = await client.query<{ used: number }>(
      `select current_usage::float8 as used from free_tier_usage
        where tenant_id = $1 and usage_type = 'api_calls' and reset_period = 'monthly' and user_id = ''`,
      [scene.metered.id],
    );
    return rows[0]?.used ?? 0;
  });
  const wanted = Math.max(before, Math.floor(used - INCLUDED_CALLS));
  const charged = await scene.countedUnits();
  return charged === wanted ? [] : [`Stripe charges ${charged} units, and should charge ${wanted}`];
}

/** Revoked keys are refused, a lost hold is listed, a plan that was bought is there, and a repeated write has one answer. */
async function comparePeople(
  { scene, people }: Round,
  restored: RestoredStack,
  report: ReconcileReport,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { credential } of people.revoked) {
    const { status } = await scene.ask({ method: 'GET', path: '/api/v1/mappings', key: credential });
    if (status !== 401) wrong.push(`a revoked key is answered with ${status}`);
  }
  const listed = report.findings.filter(({ kind }) => kind === 'act_to_repeat').flatMap(({ items }) => items);
  const isListed = listed.some((item) => item['action'] === 'legal_hold.created');
  for (const at of people.held)
    if (isListed !== at > restored.moments.core)
      wrong.push(`the hold is ${isListed ? '' : 'not '}listed as lost`);
  const plan = await scene.planOf(scene.buyer);
  if (plan !== 'starter') wrong.push(`who bought the plan starter has the plan ${plan}`);
  for (const probe of people.probes) {
    const isKept = probe.at <= restored.moments.core;
    const isSame = (await people.repeat(probe)) === probe.requestId;
    if (isKept !== isSame) wrong.push(`a repeated write ${isSame ? 'has its first' : 'has another'} answer`);
  }
  return wrong;
}

/** What the tool can mend, a second run does not find any more. */
async function compareAgain(restored: RestoredStack, until: Date): Promise<string[]> {
  const { findings } = await restored.reconcile({ mend: false, until });
  return findings
    .filter(({ kind, tenantId }) => KINDS[kind].byTool && tenantId !== PLATFORM_TENANT)
    .map(({ kind, tenantId, count }) => `a second run still finds ${kind} of ${tenantId ?? 'all'}: ${count}`);
}
