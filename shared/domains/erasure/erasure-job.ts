import { faultOf } from '../../platform/db/errors.ts';
import { newId } from '../../platform/ids/ids.ts';
import type { Job, JobRun, JobServices } from '../../platform/jobs/job.ts';
import { errorFields, log } from '../../platform/log/log.ts';
import type { TenantTable } from '../../platform/tenant-data/tenant-table.ts';
import { MINUTE_MS } from '../../platform/time/clock.ts';
import { findOpenHolds } from '../retention/open-holds.ts';
import { findOffboarded } from '../tenancy/erase-tenant.ts';
import {
  beginStep,
  findDuePasses,
  findDuePersonPasses,
  findOpenErasures,
  noteFailure,
  noteHeld,
  openErasure,
  readNewest,
  type Erasure,
} from './ledger.ts';
import { passOver } from './later-pass.ts';
import { passOverPerson } from './later-person-pass.ts';
import type { StepName } from './steps.ts';
import { pseudonymisePerson, pseudonymiseTrail } from './steps/audit.ts';
import { deleteBlobs, listBlobs } from './steps/blobs.ts';
import { clearCache } from './steps/cache.ts';
import { closeTenant } from './steps/close.ts';
import { destroyKeys } from './steps/destroy-keys.ts';
import { checkHolds } from './steps/holds.ts';
import { closePerson, erasePersonRows } from './steps/person.ts';
import { eraseAllRows } from './steps/rows.ts';
import { settle } from './steps/settle.ts';
import { cancelAtStripe } from './steps/stripe.ts';
import { verifyPerson } from './steps/verify-person.ts';
import { verifyTenant } from './steps/verify.ts';
import { ErasureFault, ErasureHeld, type ErasureWork, type StepOutcome } from './work.ts';

/** Half of the host's time limit for a function. The next run does the rest. */
const BUDGET_MS = 5 * MINUTE_MS;
/** The last batch ends within this part of the budget. */
const RESERVED_SHARE = 0.2;
const BATCH_RESERVE_MS = 15_000;
/** Erasures that a run looks at. */
const AT_ONCE = 100;
const ACTOR = 'job:tenant-erasures';

const STEPS: Readonly<Record<StepName, (work: ErasureWork) => Promise<StepOutcome>>> = {
  holds: checkHolds,
  close: closeTenant,
  keys: destroyKeys,
  stripe: cancelAtStripe,
  settle,
  blobs_listed: listBlobs,
  rows: eraseAllRows,
  audit: pseudonymiseTrail,
  blobs: deleteBlobs,
  cache: clearCache,
  verify: verifyTenant,
};

/** Steps that are others for one person. */
const OF_PERSON: Partial<typeof STEPS> = {
  close: closePerson,
  rows: erasePersonRows,
  audit: pseudonymisePerson,
  verify: verifyPerson,
};

/** What a run of erasures is given. */
export interface ErasureRun {
  readonly services: JobServices;
  readonly tables: readonly TenantTable[];
  readonly now: Date;
  readonly hasTime: () => boolean;
}

/**
 * Erases the tenants whose offboarding is over, and those that an operator wants erased. Each step may be repeated, and each batch
 * says with its effect that it is done, so a run that dies at any point is continued by the next one.
 */
export function tenantErasuresJob(tables: readonly TenantTable[]): Job {
  return {
    name: 'tenant-erasures',
    budgetMs: BUDGET_MS,
    run: (run) => runJobOnce(run, tables),
  };
}

async function runJobOnce(run: JobRun, tables: readonly TenantTable[]): Promise<'completed' | 'partial'> {
  const reserve = Math.min(BATCH_RESERVE_MS, run.timeLeftMs() * RESERVED_SHARE);
  const { examined, left } = await runErasures({
    services: run.services,
    tables,
    now: run.now,
    hasTime: () => run.timeLeftMs() > reserve,
  });
  run.progress.examined = examined;
  return left ? 'partial' : 'completed';
}

/**
 * Brings every open erasure as far as it comes.
 * @throws the first failure of an erasure, after all others have had their turn, and after the ledger has it.
 */
export async function runErasures(given: ErasureRun): Promise<{ examined: number; left: boolean }> {
  const { services, now, hasTime } = given;
  const { core } = services.crossTenant;
  await requestEnded(given);
  const failures: unknown[] = [];
  let left = false;
  const open = await findOpenErasures(core, AT_ONCE);
  for (const erasure of open) {
    if (!hasTime()) return { examined: open.length, left: true };
    await attempt(failures, services, erasure, async () => {
      left = (await advance(given, erasure)) === 'more' || left;
    });
  }
  const due = [
    ...(await findDuePasses(core, now, AT_ONCE)),
    ...(await findDuePersonPasses(core, now, AT_ONCE)),
  ];
  for (const erasure of due) {
    if (!hasTime()) return { examined: open.length + due.length, left: true };
    const pass = erasure.scope === 'tenant' ? passOver : passOverPerson;
    await attempt(failures, services, erasure, async () => {
      left = !(await pass({ ...given, erasure })) || left;
    });
  }
  if (failures.length > 0) throw failures[0];
  return { examined: open.length + due.length, left };
}

/** Requests the erasure of tenants whose days are over. One that is in the ledger already stays as it is. */
async function requestEnded({ services, now }: ErasureRun): Promise<void> {
  const { core } = services.crossTenant;
  for (const tenantId of await findOffboarded(core, now, AT_ONCE))
    await openErasure(core, { tenantId, erasureId: newId(now), requestedBy: ACTOR, at: now });
}

/** A failure of one erasure does not stop the others. A hold is none. */
async function attempt(
  failures: unknown[],
  services: JobServices,
  erasure: Erasure,
  run: () => Promise<void>,
): Promise<void> {
  const { core } = services.crossTenant;
  try {
    await run();
  } catch (error) {
    const holds = await heldBy(services, erasure, error);
    if (holds !== undefined) return noteHeld(core, erasure, holds);
    log.error('erasure-failed', { erasure_id: erasure.erasure_id, ...errorFields(error) });
    await noteFailure(core, erasure, describe(error));
    failures.push(error);
  }
}

/** The holds that stopped a step: it looked itself, or the database refused a batch because of one (55006). */
async function heldBy(
  services: JobServices,
  { tenant_id: tenantId }: Erasure,
  error: unknown,
): Promise<readonly string[] | undefined> {
  if (error instanceof ErasureHeld) return error.holds;
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
  return code === '55006' ? findOpenHolds(services.crossTenant.core, tenantId) : undefined;
}

/** An error's name and code, and the message only where it is ours: others may quote content. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  if (error instanceof ErasureFault) return error.message;
  const code: unknown = Reflect.get(error, 'code');
  return `${error.name} ${typeof code === 'string' ? code : faultOf(error)}`;
}

/** Takes step after step, as long as there is time. */
async function advance(given: ErasureRun, begun: Erasure): Promise<StepOutcome> {
  const { core } = given.services.crossTenant;
  let erasure: Erasure | undefined = begun;
  let outcome: StepOutcome = 'done';
  while (erasure?.finished_at === null) {
    if (!given.hasTime()) return 'more';
    await beginStep(core, erasure, given.now);
    const { step, scope } = erasure;
    const run = (scope === 'person' ? OF_PERSON[step] : undefined) ?? STEPS[step];
    outcome = await run({ ...given, erasure });
    if (outcome === 'more' || outcome === 'waiting') return outcome;
    erasure = await readNewest(core, begun.tenant_id, begun.person_id);
  }
  return outcome;
}
