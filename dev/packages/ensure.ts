import type { Need } from './needs.ts';

interface Outcome {
  /** What to tell the person. */
  readonly said: readonly string[];
  /** Whether everything is there without which no test can run. */
  readonly isEnough: boolean;
}

/**
 * Makes sure that there is what the tests need. `install` gets all packages that are missing, and returns what went wrong;
 * undefined if it has installed them, or may not. Says what is still missing after it, and what to do.
 */
export function ensureNeeds(
  needs: readonly Need[],
  install: (packages: readonly string[]) => string | undefined,
): Outcome {
  const missing = needs.filter((need) => !need.isThere());
  const problem = missing.length === 0 ? undefined : install(missing.map((need) => need.package));
  const lacking = missing.filter((need) => !need.isThere());
  return {
    said: lacking.map(({ byHand, isForAll, title }) => {
      const who = isForAll ? 'The tests need' : 'Some tests will fail, because they need';
      return `${who} ${title}: ${byHand}${problem === undefined ? '' : `\n${problem}`}`;
    }),
    isEnough: lacking.every(({ isForAll }) => !isForAll),
  };
}
