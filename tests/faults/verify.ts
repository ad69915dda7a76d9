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

/** The inputs of a scenario's checks. */
export interface Verification {
  readonly faults: FaultStack;
  readonly ledger: Ledger;
  readonly noise: Noise;
  readonly random: Random;
  /** The scenario's start, of `performance.now()`. Later answers belong to it. */
  readonly since: number;
  readonly tolerated: Tolerated;
  readonly clockOffsetMs?: number;
  /** Runs after all waiting work is done, before the checks. */
  readonly repair?: () => Promise<void>;
  /** The scenario's own checks. */
  readonly also?: (found: Disagreements) => void;
}

/**
 * Runs after the fault and the load have ended. Waits until all work is done, then compares the client's ledger with the
 * databases, the blobs and the queues. Throws all differences, with the seed.
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
    if (given.repair !== undefined) {
      await given.repair();
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
