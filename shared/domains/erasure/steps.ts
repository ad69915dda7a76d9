/**
 * The steps of an erasure, in their order. `holds`: an open legal hold stops everything. `close`: nobody signs in any more. `keys`:
 * what is sealed cannot be opened any more. `stripe`: nobody is billed for it any more. `settle`: requests and caches of before are over. `blobs_listed`: while rows tell of
 * them. `rows`, `audit`, `blobs`, `cache`: what is left goes, or loses its persons. `verify`: everything is searched.
 */
const STEPS = [
  'holds',
  'close',
  'keys',
  'stripe',
  'settle',
  'blobs_listed',
  'rows',
  'audit',
  'blobs',
  'cache',
  'verify',
] as const;

export type StepName = (typeof STEPS)[number];

/**
 * The steps of one person's erasure. `close`: the person is no member any more. `rows`, `audit`: what names the person goes or names
 * a pseudonym. `verify`: the tenant's rows are searched, and the account goes if no other tenant has the person.
 */
const PERSON_STEPS: readonly StepName[] = ['holds', 'close', 'settle', 'rows', 'audit', 'verify'];

/** The first step of an erasure. */
export const FIRST_STEP: StepName = 'holds';

/** The step after this one. @throws Error at the last one, which ends otherwise. */
export function stepAfter(step: StepName, scope: 'tenant' | 'person' = 'tenant'): StepName {
  const steps: readonly StepName[] = scope === 'tenant' ? STEPS : PERSON_STEPS;
  const next = steps[steps.indexOf(step) + 1];
  if (next === undefined) throw new Error(`no step follows ${step}`);
  return next;
}
