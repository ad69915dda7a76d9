import { z } from 'zod';

/** The methods that compute coverage. */
export const COVERAGE_METHODS = ['required_set', 'weighted_coverage', 'taxonomy_coverage'] as const;

/** What a request must cover: its plan's and its own requirements, fixed when it was accepted. */
export const coverageRule = z.object({
  method: z.enum(COVERAGE_METHODS),
  threshold: z.number().min(0).max(1),
  required_detectors: z.array(z.string()),
  weights: z.record(z.string(), z.number()),
  required_categories: z.array(z.string()),
});
export type CoverageRule = z.output<typeof coverageRule>;

/** One attempt of a detector, with the fields that coverage needs. */
export interface Finding {
  readonly detector: string;
  readonly status: string;
  /** True if it was less sure than its detector's threshold: then it is not a success. */
  readonly below_threshold: boolean;
  /** The taxonomy labels of the result. Those of an attempt without success do not count. */
  readonly labels: readonly string[];
}

/** What was covered. */
export interface Coverage {
  /** In [0,1]. */
  readonly achieved: number;
  /** Below the rule's threshold. */
  readonly partial: boolean;
  /** Detectors with an attempt; a skipped detector has none. */
  readonly attempted: number;
  /** Detectors with at least one success that was sure enough. */
  readonly succeeded: number;
}

/** Sums of weights are rounded to these steps: 0.1 + 0.7 differs from 0.8 by far less, and no real threshold is finer. */
const STEPS = 1e9;
const TOLERANCE = 1 / STEPS;

/** The detectors that a request requires: the plan's primary ones and its own, without the excluded ones. */
export function requiredDetectors(
  primary: readonly string[],
  required: readonly string[],
  excluded: readonly string[],
): string[] {
  const left = new Set([...primary, ...required]);
  for (const detector of excluded) left.delete(detector);
  return [...left];
}

/** The labels in one member of a result or a mapping: a text or a list of texts. Any other value has none. */
export function labelsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((member): member is string => typeof member === 'string') : [];
}

/** Whether a label is a category or is below it: `PII` covers `PII.Identifier.SSN`, not `PIIX`. */
function isUnder(label: string, category: string): boolean {
  return label === category || label.startsWith(`${category}.`);
}

/** A share of nothing is 0: a rule that requires nothing must not count as covered. */
function share(hit: number, of: number): number {
  return of === 0 ? 0 : hit / of;
}

function weightOf(weights: Readonly<Record<string, number>>, succeeded: ReadonlySet<string>): number {
  const entries = Object.entries(weights);
  const sum = entries.reduce(
    (total, [detector, weight]) => total + (succeeded.has(detector) ? weight : 0),
    0,
  );
  return Math.min(1, Math.max(0, Math.round(sum * STEPS) / STEPS));
}

/**
 * Computes which part of the rule the attempts covered. A rule that requires nothing is never covered, with any threshold:
 * else excluding all that a plan requires would look like full coverage. `mappedLabels` are the mapping result's labels.
 * For the taxonomy they count together with those of successful attempts.
 */
export function assessCoverage(
  rule: CoverageRule,
  findings: readonly Finding[],
  mappedLabels: readonly string[],
): Coverage {
  const successes = findings.filter((finding) => finding.status === 'success' && !finding.below_threshold);
  const succeeded = new Set(successes.map((finding) => finding.detector));
  const tried = findings.filter((finding) => finding.status !== 'skipped');
  const achieved = achievedOf(rule, succeeded, [
    ...successes.flatMap((finding) => finding.labels),
    ...mappedLabels,
  ]);
  return {
    achieved,
    partial: asksForNothing(rule) || rule.threshold - achieved > TOLERANCE,
    attempted: new Set(tried.map((finding) => finding.detector)).size,
    succeeded: succeeded.size,
  };
}

function asksForNothing(rule: CoverageRule): boolean {
  switch (rule.method) {
    case 'required_set':
      return rule.required_detectors.length === 0;
    case 'weighted_coverage':
      return Object.keys(rule.weights).length === 0;
    case 'taxonomy_coverage':
      return rule.required_categories.length === 0;
    default:
      return rule.method satisfies never;
  }
}

function achievedOf(rule: CoverageRule, succeeded: ReadonlySet<string>, labels: readonly string[]): number {
  switch (rule.method) {
    case 'required_set': {
      const required = new Set(rule.required_detectors);
      return share([...required].filter((detector) => succeeded.has(detector)).length, required.size);
    }
    case 'weighted_coverage':
      return weightOf(rule.weights, succeeded);
    case 'taxonomy_coverage': {
      const categories = new Set(rule.required_categories);
      const hit = [...categories].filter((category) => labels.some((label) => isUnder(label, category)));
      return share(hit.length, categories.size);
    }
    default:
      return rule.method satisfies never;
  }
}
