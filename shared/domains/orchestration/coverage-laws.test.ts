import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  assessCoverage,
  COVERAGE_METHODS,
  requiredDetectors,
  type CoverageRule,
  type Finding,
} from './coverage.ts';

const DETECTORS = ['a', 'b', 'c', 'd', 'e'];
const CATEGORIES = ['PII', 'PII.Contact', 'BIAS', 'HARM'];
const LABELS = ['PII.Contact.Email', 'PIIX', 'BIAS', 'HARM.SPEECH.Toxicity', 'OTHER'];
const STATUSES = ['success', 'failed', 'timeout', 'unavailable', 'skipped'];

const detectors = fc.subarray(DETECTORS);
/** Weights whose sum is 1 within decimal rounding. */
const weights = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...DETECTORS), fc.integer({ min: 1, max: 100 })), {
    minLength: 1,
    selector: ([name]) => name,
  })
  .map((pairs) => {
    const sum = pairs.reduce((total, [, weight]) => total + weight, 0);
    return Object.fromEntries(pairs.map(([name, weight]) => [name, weight / sum]));
  });
const rules: fc.Arbitrary<CoverageRule> = fc.record({
  method: fc.constantFrom(...COVERAGE_METHODS),
  threshold: fc.double({ min: 0, max: 1, noNaN: true }),
  required_detectors: detectors,
  weights,
  required_categories: fc.subarray(CATEGORIES),
});
const findings: fc.Arbitrary<Finding> = fc.record({
  detector: fc.constantFrom(...DETECTORS, 'stranger'),
  status: fc.constantFrom(...STATUSES),
  below_threshold: fc.boolean(),
  labels: fc.subarray(LABELS),
});
const asksForNothing = (rule: CoverageRule): boolean =>
  ({
    required_set: rule.required_detectors.length,
    weighted_coverage: Object.keys(rule.weights).length,
    taxonomy_coverage: rule.required_categories.length,
  })[rule.method] === 0;
const manyFindings = fc.array(findings, { maxLength: 12 });
const labels = fc.subarray(LABELS);

describe('coverage, by every method', () => {
  test('is in [0,1], and is partial exactly below the threshold or when nothing is required', () => {
    fc.assert(
      fc.property(rules, manyFindings, labels, (rule, found, mapped) => {
        const { achieved, partial, succeeded, attempted } = assessCoverage(rule, found, mapped);
        expect(achieved).toBeGreaterThanOrEqual(0);
        expect(achieved).toBeLessThanOrEqual(1);
        if (asksForNothing(rule)) expect({ achieved, partial }).toEqual({ achieved: 0, partial: true });
        else if (achieved >= rule.threshold) expect(partial).toBe(false);
        if (achieved < rule.threshold - 1e-6) expect(partial).toBe(true);
        expect(succeeded).toBeLessThanOrEqual(attempted);
        expect(attempted).toBeLessThanOrEqual(new Set(found.map(({ detector }) => detector)).size);
      }),
      { numRuns: 500 },
    );
  });

  test('depends neither on the order of the attempts nor on repetitions of one', () => {
    fc.assert(
      fc.property(rules, manyFindings, labels, fc.nat({ max: 12 }), (rule, found, mapped, at) => {
        const once = assessCoverage(rule, found, mapped);
        const turned = [...found.slice(at), ...found.slice(0, at)].reverse();
        expect(assessCoverage(rule, turned, mapped.toReversed())).toEqual(once);
        expect(assessCoverage(rule, [...found, ...found], [...mapped, ...mapped])).toEqual(once);
      }),
      { numRuns: 500 },
    );
  });

  test('is never lowered by another attempt, and does not change by one that failed or was not sure enough', () => {
    fc.assert(
      fc.property(rules, manyFindings, findings, labels, (rule, found, more, mapped) => {
        const before = assessCoverage(rule, found, mapped).achieved;
        const after = assessCoverage(rule, [...found, more], mapped).achieved;
        if (more.status === 'success' && !more.below_threshold) expect(after).toBeGreaterThanOrEqual(before);
        else expect(after).toBe(before);
      }),
      { numRuns: 500 },
    );
  });

  test('is 1 when every detector succeeded with every category', () => {
    fc.assert(
      fc.property(rules, (rule) => {
        const all = DETECTORS.map((detector) => ({
          detector,
          status: 'success',
          below_threshold: false,
          labels: CATEGORIES,
        }));
        if (!asksForNothing(rule)) expect(assessCoverage(rule, all, []).achieved).toBe(1);
      }),
    );
  });

  test('is not higher under a rule that requires more', () => {
    fc.assert(
      fc.property(rules, manyFindings, fc.constantFrom(...DETECTORS), (rule, found, detector) => {
        const rulesOfSet = { ...rule, method: 'required_set' as const };
        const more = {
          ...rulesOfSet,
          required_detectors: [...new Set([...rule.required_detectors, detector])],
        };
        const isMet = found.some(
          (finding) =>
            finding.detector === detector && finding.status === 'success' && !finding.below_threshold,
        );
        const before = assessCoverage(rulesOfSet, found, []).achieved;
        if (!isMet) expect(assessCoverage(more, found, []).achieved).toBeLessThanOrEqual(before);
      }),
    );
  });
});

test('the required set has each required detector once, and no excluded one', () => {
  fc.assert(
    fc.property(detectors, detectors, detectors, (primary, required, excluded) => {
      const found = requiredDetectors(primary, required, excluded);
      expect(new Set(found).size).toBe(found.length);
      for (const name of DETECTORS) {
        const isWanted = (primary.includes(name) || required.includes(name)) && !excluded.includes(name);
        expect(found.includes(name)).toBe(isWanted);
      }
    }),
  );
});
