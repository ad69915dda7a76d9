import { z } from 'zod';
import type { Advisory } from './advisories.ts';

const DAY_MS = 86_400_000;
/** After this an entry must be decided again. */
const DAYS_MAX = 180;

const entry = z
  .strictObject({
    advisory: z.string().regex(/^GHSA(-[a-z0-9]{4}){3}$/, 'must be like GHSA-xxxx-xxxx-xxxx'),
    package: z.string().min(1),
    reason: z.string().min(20, 'must say why, in at least 20 characters'),
    since: z.iso.date(),
    /** The last day on which it holds. */
    until: z.iso.date(),
  })
  .refine(({ since, until }) => Date.parse(until) >= Date.parse(since), 'until must not be before since')
  .refine(
    ({ since, until }) => Date.parse(until) - Date.parse(since) <= DAYS_MAX * DAY_MS,
    `may hold for at most ${DAYS_MAX} days`,
  );

/** The file of accepted advisories. */
export const allowedAdvisories = z.array(entry);
export type AllowedAdvisory = z.output<typeof entry>;

/** What is to be said about the advisories that were found. */
export interface Verdict {
  readonly refused: readonly Advisory[];
  readonly accepted: readonly Advisory[];
  /** Below the severities that fail the check. */
  readonly minor: readonly Advisory[];
  /** What is wrong with the file of accepted advisories. */
  readonly faults: readonly string[];
}

const FAILING = new Set(['high', 'critical']);

/** Judges what was found. `today` is `YYYY-MM-DD`, in UTC. */
export function judge(
  found: readonly Advisory[],
  allowed: readonly AllowedAdvisory[],
  today: string,
): Verdict {
  const covers = (one: AllowedAdvisory, advisory: Advisory): boolean =>
    one.advisory === advisory.id && one.package === advisory.package;
  const holds = allowed.filter(({ since, until }) => since <= today && today <= until);
  const serious = found.filter(({ severity }) => FAILING.has(severity));
  const isAccepted = (advisory: Advisory): boolean => holds.some((one) => covers(one, advisory));
  return {
    refused: serious.filter((advisory) => !isAccepted(advisory)),
    accepted: serious.filter(isAccepted),
    minor: found.filter(({ severity }) => !FAILING.has(severity)),
    faults: [
      ...expired(allowed, today),
      ...holds
        .filter((one) => !serious.some((advisory) => covers(one, advisory)))
        .map(
          (one) =>
            `${one.advisory} (${one.package}) is accepted, and nothing has it any more: remove the entry`,
        ),
    ],
  };
}

/** The entries whose time is over. They fail the check, whatever the registry says. */
export function expired(allowed: readonly AllowedAdvisory[], today: string): string[] {
  return allowed
    .filter(({ until }) => until < today)
    .map((one) => `${one.advisory} (${one.package}) was accepted until ${one.until}: decide again`);
}
