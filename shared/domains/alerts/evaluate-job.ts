import { z } from 'zod';
import { newId } from '../../platform/ids/ids.ts';
import type { Job, JobRun } from '../../platform/jobs/job.ts';
import { log } from '../../platform/log/log.ts';
import { MINUTE_MS } from '../../platform/time/clock.ts';
import { alertCondition, isMet, type AlertCondition } from './conditions.ts';
import { measureConditions } from './measure-conditions.ts';
import { settleBatch, type Ended, type Raised } from './settle-batch.ts';
import {
  ALERT_BATCH,
  nextConfigs,
  nextOpenAlerts,
  type WalkedTo,
  type WatchedConfig,
} from './watched-configs.ts';

/** A batch takes less than this. With less time left, the next run continues. */
const RESERVE_MS = 10_000;

const position = z.object({
  walk: z.enum(['configs', 'open']),
  after: z.object({ tenant_id: z.string(), config_id: z.uuid() }).nullable(),
});
type Position = z.output<typeof position>;
type Walk = Position['walk'];
const START: Position = { walk: 'configs', after: null };

/** A configuration whose condition this build knows. */
interface Judged {
  readonly tenant_id: string;
  readonly config: WatchedConfig;
  readonly condition: AlertCondition;
}

/**
 * Judges every active configuration of every tenant: raises an alert where the condition holds, and resolves one where it no longer
 * does. Then it resolves the open alerts whose configuration was deleted or made inactive. A run sees only the windows that end at
 * its own time: what held between two runs, and no longer does, raises nothing.
 */
export const alertsEvaluate: Job = {
  name: 'alerts-evaluate',
  budgetMs: 50_000,
  async run(run) {
    const start = (await run.position(position)) ?? START;
    let saved = start;
    const save = async (at: Position): Promise<void> => {
      // Most runs need one batch: they have nothing to save.
      if (isStart(at) && isStart(saved)) return;
      await run.savePosition(at);
      saved = at;
    };
    const walks: readonly Walk[] = start.walk === 'configs' ? ['configs', 'open'] : ['open'];
    for (const walk of walks) {
      const after = walk === start.walk ? start.after : null;
      if (!(await walkOver(run, walk, after ?? undefined, save))) return 'partial';
    }
    await save(START);
    return 'completed';
  },
};

const isStart = ({ walk, after }: Position): boolean => walk === START.walk && after === null;

const STEPS: Readonly<Record<Walk, (run: JobRun, after?: WalkedTo) => Promise<readonly WalkedTo[]>>> = {
  configs: judgeConfigs,
  open: endOrphans,
};

/** False if the budget ended first. */
async function walkOver(
  run: JobRun,
  walk: Walk,
  from: WalkedTo | undefined,
  save: (at: Position) => Promise<void>,
): Promise<boolean> {
  let after = from;
  while (run.timeLeftMs() > RESERVE_MS) {
    const batch = await STEPS[walk](run, after);
    const last = batch.at(-1);
    if (last === undefined || batch.length < ALERT_BATCH) return true;
    after = { tenant_id: last.tenant_id, config_id: last.config_id };
    await save({ walk, after });
  }
  return false;
}

async function judgeConfigs(run: JobRun, after?: WalkedTo): Promise<readonly WatchedConfig[]> {
  const { services, now } = run;
  const configs = await nextConfigs(services.crossTenant.analytics, after);
  const judged = configs.flatMap((config): Judged[] => {
    const condition = alertCondition.safeParse(config.condition);
    if (condition.success) return [{ tenant_id: config.tenant_id, config, condition: condition.data }];
    log.warn('alert-condition-unreadable', { tenant_id: config.tenant_id, config_id: config.config_id });
    return [];
  });
  const measured = await measureConditions(services.crossTenant, judged, now);
  const raised: Raised[] = [];
  const ended: Ended[] = [];
  for (const [{ config, condition }, { value, samples }] of measured) {
    // No data: nothing is known. No alert is raised, and an open one stays.
    if (value === null) continue;
    const { tenant_id, config_id, version, alert_id } = config;
    if (isMet(condition, value)) {
      if (alert_id !== null || isCooling(config, now) || !(await isServed(run, tenant_id))) continue;
      const row = { tenant_id, config_id, version, alert_id: newId(now) };
      raised.push({ ...row, measured_value: value, sample_count: samples });
    } else if (alert_id !== null) {
      ended.push({ tenant_id, config_id, version, alert_id, resolution: 'recovered' });
    }
  }
  add(run, 'judged', measured.size);
  add(run, 'unmeasured', configs.length - measured.size);
  await settle(run, raised, ended);
  return configs;
}

/** The transaction decides this again, under the configuration's lock. */
function isCooling({ last_ended_at: endedAt, cooldown_minutes: minutes }: WatchedConfig, now: Date): boolean {
  if (endedAt === null) return false;
  const since = now.getTime() - Date.parse(endedAt);
  return since >= 0 && since < minutes * MINUTE_MS;
}

/** Whether the tenant exists and is not erased. */
async function isServed({ services }: JobRun, tenantId: string): Promise<boolean> {
  const tenant = await services.tenants.find(tenantId);
  return tenant !== null && tenant.status !== 'erased';
}

async function endOrphans(run: JobRun, after?: WalkedTo): Promise<readonly WalkedTo[]> {
  const open = await nextOpenAlerts(run.services.crossTenant.analytics, after);
  const ended = open.flatMap(({ tenant_id, config_id, alert_id, config }): Ended[] =>
    config === 'active'
      ? []
      : [{ tenant_id, config_id, alert_id, version: null, resolution: `config_${config}` }],
  );
  await settle(run, [], ended);
  return open;
}

/** Counts only changes as examined: the ledger forgets runs that changed nothing. */
async function settle(run: JobRun, raised: readonly Raised[], ended: readonly Ended[]): Promise<void> {
  if (raised.length + ended.length === 0) return;
  const { services, now } = run;
  const settled = await settleBatch(services.crossTenant.analytics, { raised, ended }, now);
  for (const entry of settled.entries) services.publisher.publish(entry);
  run.progress.examined += settled.triggered + settled.resolved;
  add(run, 'triggered', settled.triggered);
  add(run, 'resolved', settled.resolved);
}

function add(run: JobRun, name: string, amount: number): void {
  run.progress.details[name] = Number(run.progress.details[name] ?? 0) + amount;
}
