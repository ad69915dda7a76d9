import { setTimeout as delay } from 'node:timers/promises';
import type { Settings } from '../config/settings.ts';
import { openPool } from '../db/pool.ts';
import { beginTransaction } from '../db/transaction.ts';
import { crossTenantPassword } from '../entra/database-password.ts';
import { errorFields, log } from '../log/log.ts';

/**
 * How long a run may keep its lock after its budget ends. Its last batch, with the longest statement, ends within this time.
 */
const GRACE_MS = 60_000;

/** Limits the wait for a server that does not answer. The lock then ends with its connection. */
const RELEASE_MS = 5_000;

/** A lock that a run holds. */
export interface JobLock {
  /** True when its connection is lost. Then another run may start. */
  isLost(): boolean;
  /** Releases the lock. Never throws. */
  release(): Promise<void>;
}

/**
 * Tries to take a job's advisory lock; undefined if another run has it.
 *
 * The lock belongs to a transaction on a separate connection, opened for the run. So it works behind a transaction-mode
 * pooler and ends with the process. It takes no connection from the job's pool, so that many jobs in one process cannot
 * starve each other. The transaction does nothing else: it holds no snapshot and does not delay vacuum.
 * @throws when the database is unavailable.
 */
export async function takeJobLock(
  settings: Settings,
  job: string,
  budgetMs: number,
): Promise<JobLock | undefined> {
  const password = crossTenantPassword(settings);
  const pool = openPool({
    url: settings.CORE_CROSS_TENANT_DATABASE_URL,
    max: 1,
    applicationName: 'comply-ai:job-lock',
    prepare: false,
    extraCa: settings.EXTRA_CA_CERTS,
    ...(password === undefined ? {} : { password }),
  });
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let lost = false;
  let answered = (_free: boolean): void => undefined;
  const answer = new Promise<boolean>((resolve) => {
    answered = resolve;
  });
  const held = beginTransaction(pool, async (transaction) => {
    const [row] = await transaction.unsafe<{ free: boolean }[]>(
      `select set_config('idle_in_transaction_session_timeout', $1, true),
              pg_try_advisory_xact_lock(hashtextextended($2, 0)) as free`,
      [String(budgetMs + GRACE_MS), `job:${job}`],
    );
    answered(row?.free === true);
    if (row?.free === true) await released;
  }).finally(() => pool.end({ timeout: 1 }));
  const free = await Promise.race([answer, held.then(() => false)]);
  if (!free) {
    await held;
    return undefined;
  }
  const ended = held.catch((error: unknown) => {
    lost = true;
    log.warn('job-lock-lost', { job, ...errorFields(error) });
  });
  return {
    isLost: () => lost,
    release: async () => {
      release();
      await Promise.race([ended, delay(RELEASE_MS, undefined, { ref: false })]);
    },
  };
}
