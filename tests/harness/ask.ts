import { inject } from 'vitest';
import type { PartFacts } from './part-facts.ts';

/** Asks the run's process for a part, which is started if needed. Throws with the reason if it cannot start. */
export async function askForPart<N extends keyof PartFacts>(name: N): Promise<PartFacts[N]> {
  const response = await fetch(`${inject('partsUrl')}/${name}`);
  const text = await response.text();
  if (!response.ok) {
    throw new Error(text);
  }
  // The harness also wrote the answer.
  return JSON.parse(text) as PartFacts[N];
}

let number: Promise<number> | undefined;

/** A number that no other test file of the run has. */
export function askForFileNumber(): Promise<number> {
  number ??= askForPart('number').then((facts) => facts.number);
  return number;
}

/** Asks the run's process to keep the databases of a failed file. */
export async function keepAfterRun(what: string): Promise<void> {
  await fetch(`${inject('partsUrl')}/keep?what=${encodeURIComponent(what)}`);
}
