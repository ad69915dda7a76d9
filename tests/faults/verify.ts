import { Disagreements } from './disagreements.ts';
import { notePids, type FaultStack } from './fault-stack.ts';
import { summarize, type Ledger } from './ledger.ts';
import type { Noise } from './noise.ts';
import type { Random } from './random.ts';
import { settle } from './settle.ts';
import { checkAnswers, type Tolerated } from './verify-answers.ts';
import { checkBlobs } from './verify-blobs.ts';
import { checkAudit, checkMessages, checkUsage } from './verify-effects.ts';
import { expectNothingLeft } from './verify-leftovers.ts';
import { checkRows, readRows } from './verify-rows.ts';

/** What a scenario is checked by. */
export interface Verification {
  readonly faults: FaultStack;
  readonly ledger: Ledger;
  readonly noise: Noise;
  readonly random: Random;
  /** The scenario's first moment, of `performance.now()`: answers since then are its own. */
  readonly since: number;
  readonly tolerated: Tolerated;
  readonly clockOffsetMs?: number;
  /** What has to be done once everything that waits is done, before it is checked. */
  readonly mend?: () => Promise<void>;
  /** Checks of the scenario's own. */
  readonly also?: (found: Disagreements) => void;
}

/**
 * After the fault has healed and the load has ended: lets everything that waits be done, then holds the client's ledger
 * against the databases, the blobs and the queues. Throws all that they disagree about, with the seed.
 */
export async function verify(given: Verification): Promise<void> {
  const { faults, ledger, noise, since, tolerated, random } = given;
  const attempts = ledger.since(since);
  const found = new Disagreements();
  checkAnswers(found, attempts, tolerated, noise);
  given.also?.(found);
  const context = `seed ${random.seed}; ${attempts.length} attempts: ${summarize(attempts)}`;
  try {
    let { deadLettered } = await settle(faults, given.clockOffsetMs);
    if (given.mend !== undefined) {
      await given.mend();
      ({ deadLettered } = await settle(faults, given.clockOffsetMs));
    }
    const rows = await readRows(faults);
    checkRows(found, ledger, rows);
    await checkUsage(found, faults, ledger, rows);
    await checkAudit(found, faults, ledger, rows);
    await checkMessages(found, faults, ledger, deadLettered);
    await checkBlobs(found, faults);
    await expectNothingLeft(faults);
  } catch (error) {
    found.check(false, () => String(error));
  }
  notePids(faults);
  found.throwIfAny(context);
}
