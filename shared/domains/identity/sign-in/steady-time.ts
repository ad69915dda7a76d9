import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than an attempt needs with a hash, so that what it found cannot be told from the time of its answer. */
const ANSWER_MS = 150;

/** Runs something that must take one time whatever it finds. It also throws at that time. */
export async function inSteadyTime<T>(run: () => Promise<T>): Promise<T> {
  const [outcome] = await Promise.allSettled([run(), sleep(ANSWER_MS)]);
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}
