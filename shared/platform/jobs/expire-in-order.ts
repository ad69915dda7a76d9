import { inBatch } from '../db/batch-transaction.ts';
import type { CrossTenantDatabase } from '../db/tenant-database.ts';
import type { JobRun } from './job.ts';

/** A batch takes less than this. With less time left, the next run continues. */
const RESERVE_MS = 5_000;

/** What a statement of {@link expireInOrder} returns. */
interface Batch {
  readonly [column: string]: unknown;
  readonly done: number;
  readonly found: number;
  readonly last: string | null;
}

/** A statement that handles the oldest rows of a table. */
export interface Expiring {
  /**
   * Handles rows whose time is at most `$1` and at least `$2`, at most `batchSize`, in the order of that time. Returns `done`, how many it
   * handled, `found`, how many there were, and `last`, the latest of their times as text.
   */
  readonly text: string;
  readonly before: Date;
  readonly batchSize: number;
}

/**
 * Handles all old rows of a table in batches, each from where the one before it ended. Before that the index has entries of rows that are
 * done, until a vacuum removes them. `finished` is false if the run's time ended first.
 */
export async function expireInOrder(
  run: Pick<JobRun, 'timeLeftMs'>,
  database: CrossTenantDatabase,
  { text, before, batchSize }: Expiring,
): Promise<{ readonly rows: number; readonly finished: boolean }> {
  let last = '-infinity';
  let rows = 0;
  let finished = false;
  while (!finished && run.timeLeftMs() > RESERVE_MS) {
    const [row] = await inBatch(database, (transaction) =>
      transaction.query<Batch>(text, [before, last], { prepare: false }),
    );
    rows += row?.done ?? 0;
    last = row?.last ?? last;
    finished = (row?.found ?? 0) < batchSize;
  }
  return { rows, finished };
}
