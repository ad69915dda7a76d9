import type { Patient } from './patient.ts';

/** The groups of the report, in its order. */
export const GROUPS = [
  'settings',
  'databases',
  'clocks',
  'redis',
  'service bus',
  'blobs',
  'keys',
  'stripe',
  'seeds',
  'work',
  'public',
] as const;
export type Group = (typeof GROUPS)[number];

/** What a check can result in, from good to bad. */
export const RESULTS = ['ok', 'not checked', 'warning', 'problem'] as const;
export type Result = (typeof RESULTS)[number];

/**
 * One thing that a check has found. `detail` says what is so, or for `not checked` why it could not be seen. `do` is the command or
 * the setting that mends it. Neither has a secret or content in it: names of hosts, settings, roles and tables, and counts.
 */
export type Finding =
  | { readonly result: 'ok'; readonly detail: string }
  | { readonly result: 'not checked'; readonly detail: string; readonly do?: string }
  | { readonly result: 'warning' | 'problem'; readonly detail: string; readonly do: string };

/** One check. It changes nothing. */
export interface Check {
  /** Kebab-case, unique. */
  readonly name: string;
  readonly group: Group;
  /** What it looks at, in a few words. */
  readonly looksAt: string;
  /** @throws NotChecked when something that the check needs is missing; anything else counts as a problem. */
  run(patient: Patient): Promise<Finding | readonly Finding[]>;
}

/** All is as it should be. */
export const ok = (detail: string): Finding => ({ result: 'ok', detail });
/** It works, but not as it should, or not for long. */
export const warning = (detail: string, remedy: string): Finding => ({
  result: 'warning',
  detail,
  do: remedy,
});
/** Something does not work, or is not safe. */
export const problem = (detail: string, remedy: string): Finding => ({
  result: 'problem',
  detail,
  do: remedy,
});
/** It cannot be seen from here. */
export const notChecked = (reason: string, remedy?: string): Finding =>
  remedy === undefined
    ? { result: 'not checked', detail: reason }
    : { result: 'not checked', detail: reason, do: remedy };

/** The findings, or that there is nothing to find. */
export function orOk(findings: readonly Finding[], detail: string): readonly Finding[] {
  return findings.length > 0 ? findings : [ok(detail)];
}

/** `1 row`, `2 rows`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** Some names; of many only the first ones. */
export function names(all: readonly string[], most = 5): string {
  const rest = all.length - most;
  return rest > 0 ? `${all.slice(0, most).join(', ')} and ${rest} more` : all.join(', ');
}
