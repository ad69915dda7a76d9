import type { CrossTenantTransaction } from '../../../platform/db/tenant-database.ts';

/** Another process is carrying the same thing: it takes as long as Stripe's answers. */
const WAIT_MS = 5_000;

/**
 * Lets one process at a time carry a plan or a code to Stripe, until the transaction ends. It locks a name, not the row, so that
 * nobody who writes or reads the row waits for Stripe.
 * @throws 55P03 if another process does not finish in time.
 */
export async function lockForCarrying(
  transaction: Pick<CrossTenantTransaction, 'query'>,
  name: string,
): Promise<void> {
  await transaction.query(`select set_config('lock_timeout', $1, true)`, [`${WAIT_MS}ms`]);
  await transaction.query(`select pg_advisory_xact_lock(hashtextextended($1, 0))`, [`carry:${name}`]);
}
