import type { KeyVersion } from '../../platform/crypto/key-version.ts';
import { KeyUnavailable } from '../../platform/crypto/key-unavailable.ts';
import {
  countWrappedKeys,
  rewrapBatch,
  wrappingVersions,
  type WrappedPosition,
} from '../../platform/crypto/wrapped-keys.ts';
import type { Job, JobRun } from '../../platform/jobs/job.ts';
import { log } from '../../platform/log/log.ts';

/** A batch takes milliseconds. 100,000 data keys fit in one run. */
const BUDGET_MS = 5 * 60_000;
/** Time for one more batch. */
const RESERVE_MS = 2_000;

/** Data keys could not be wrapped again, because their bytes do not open. The log names them. */
class DataKeysBroken extends Error {
  override name = 'DataKeysBroken';
}

/**
 * Wraps every data key with the newest version of the key-encryption key, as the vault says it now, so that older versions are not
 * needed any longer. What is left to do is told by the rows alone: a run that was stopped is continued by the next one. Data keys of a
 * version that cannot be read stay as they are, the others are wrapped, and then the run fails.
 */
export const dataKeysRewrap: Job = {
  name: 'data-keys-rewrap',
  budgetMs: BUDGET_MS,
  async run(run) {
    const { dataKeys, crossTenant } = run.services;
    // Not the last known one: another instance may have wrapped with a newer one.
    const newest = await dataKeys.wrapping.newest();
    const old = (await wrappingVersions(crossTenant.core)).filter((version) => version !== newest.version);
    const failures: Error[] = [];
    for (const version of old) {
      const from = await readVersion(run, version, failures);
      if (from === undefined) continue;
      if ((await rewrapVersion(run, from, newest, failures)) === 'partial') return 'partial';
    }
    if (failures[0] !== undefined) throw failures[0];
    return 'completed';
  },
};

/** The version's key; undefined if it cannot be read, with how many data keys need it in the log and in the run's row. */
async function readVersion(
  { services, progress }: JobRun,
  version: string,
  failures: Error[],
): Promise<KeyVersion | undefined> {
  try {
    return { version, key: await services.dataKeys.wrapping.version(version) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const used = await countWrappedKeys(services.crossTenant.core);
    const dataKeys = used.find((one) => one.version === version)?.data_keys ?? 0;
    const reason = error instanceof KeyUnavailable ? error.message : error.name;
    log.error('key-version-needed', { version, data_keys: dataKeys, reason });
    progress.details[`unreadable_${version}`] = dataKeys;
    failures.push(error);
    return undefined;
  }
}

async function rewrapVersion(
  run: JobRun,
  from: KeyVersion,
  newest: KeyVersion,
  failures: Error[],
): Promise<'completed' | 'partial'> {
  const { progress, services, now } = run;
  let after: WrappedPosition | undefined;
  do {
    if (run.timeLeftMs() < RESERVE_MS) return 'partial';
    const batch = await rewrapBatch(services.crossTenant.core, from, newest, after, now);
    progress.examined += batch.rewrapped + batch.broken;
    progress.details['rewrapped'] = Number(progress.details['rewrapped'] ?? 0) + batch.rewrapped;
    if (batch.broken > 0) {
      progress.details['broken'] = Number(progress.details['broken'] ?? 0) + batch.broken;
      failures.push(new DataKeysBroken('data keys do not open'));
    }
    after = batch.next;
  } while (after !== undefined);
  return 'completed';
}
