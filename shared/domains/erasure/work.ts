import type { JobServices } from '../../platform/jobs/job.ts';
import type { TenantTable } from '../../platform/tenant-data/tenant-table.ts';
import type { Erasure } from './ledger.ts';

/** What every step uses. */
export interface ErasureWork {
  readonly services: JobServices;
  /** Every table with tenants' rows, in the order in which they go. */
  readonly tables: readonly TenantTable[];
  readonly erasure: Erasure;
  /** The time that the run works with. */
  readonly now: Date;
  /** Whether there is time for another batch. */
  readonly hasTime: () => boolean;
}

/**
 * How far a step came. `done`: the ledger is at the next step. `more`: the run's time is over. `waiting`: it is too early. `moved`: the
 * ledger is at another step, or the erasure is over.
 */
export type StepOutcome = 'done' | 'more' | 'waiting' | 'moved';

/** Open legal holds stop an erasure, at any point. */
export class ErasureHeld extends Error {
  override name = 'ErasureHeld';
  readonly holds: readonly string[];
  constructor(holds: readonly string[]) {
    super('legal holds stop the erasure');
    this.holds = holds;
  }
}

/** A step cannot end as it should. The message has no content, and is for the ledger. */
export class ErasureFault extends Error {
  override name = 'ErasureFault';
}
