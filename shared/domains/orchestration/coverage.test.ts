import { describe, expect, test } from 'vitest';
import {
  assessCoverage,
  COVERAGE_METHODS,
  labelsOf,
  requiredDetectors,
  type CoverageRule,
  type Finding,
} from './coverage.ts';

const rule = (changes: Partial<CoverageRule>): CoverageRule => ({
  method: 'required_set',
  threshold: 0.8,
  required_detectors: [],
  weights: {},
  required_categories: [],
  ...changes,
});
const found = (detector: string, status = 'success', ...labels: string[]): Finding => ({
  detector,
  status,
  below_threshold: false,
  labels,
});
const unsure = (detector: string, ...labels: string[]): Finding => ({
  ...found(detector, 'success', ...labels),
  below_threshold: true,
});

describe('the required set', () => {
  test('is the plan’s primary detectors and the request’s, without excluded ones', () => {
    expect(requiredDetectors(['a', 'b'], ['b', 'c'], ['a', 'z'])).toEqual(['b', 'c']);
  });

  test.each<[string, string[], Finding[], number, boolean]>([
    ['nothing required is never covered', [], [found('a')], 0, true],
    ['a result under its threshold is no success', ['a', 'b'], [unsure('a'), found('b')], 0.5, true],
    ['a surer try of the same detector is one', ['a'], [unsure('a'), found('a')], 1, false],
    ['no result covers nothing', ['a'], [], 0, true],
    ['each detector counts once', ['a', 'b'], [found('a'), found('a')], 0.5, true],
    [
      'one success among failures is enough',
      ['a'],
      [found('a', 'failed'), found('a'), found('a', 'timeout')],
      1,
      false,
    ],
    ['a detector that was not asked for adds nothing', ['a'], [found('b')], 0, true],
    [
      'the threshold itself is reached',
      ['a', 'b', 'c', 'd', 'e'],
      'abcd'.split('').map((name) => found(name)),
      0.8,
      false,
    ],
    [
      'every other status is not a success',
      ['a', 'b', 'c', 'd'],
      [found('a', 'failed'), found('b', 'timeout'), found('c', 'unavailable'), found('d', 'skipped')],
      0,
      true,
    ],
  ])('%s', (_title, required, findings, achieved, partial) => {
    expect(assessCoverage(rule({ required_detectors: required }), findings, [])).toMatchObject({
      achieved,
      partial,
    });
  });
});

describe('weighted coverage', () => {
  test.each<[string, Record<string, number>, Finding[], number, boolean]>([
    [
      'sums the weights of those that succeeded',
      { a: 0.5, b: 0.3, c: 0.2 },
      [found('a'), found('c'), found('b', 'failed')],
      0.7,
      true,
    ],
    [
      'decimal weights reach a decimal threshold',
      { a: 0.1, b: 0.7, c: 0.2 },
      [found('a'), found('b')],
      0.8,
      false,
    ],
    ['a repeated success weighs once', { a: 0.5, b: 0.5 }, [found('a'), found('a')], 0.5, true],
    ['never exceeds 1', { a: 0.7, b: 0.7 }, [found('a'), found('b')], 1, false],
    ['a detector without a weight adds nothing', { a: 1 }, [found('b')], 0, true],
    ['no weights are never covered', {}, [found('a')], 0, true],
    ['a result under its threshold weighs nothing', { a: 0.9, b: 0.1 }, [unsure('a'), found('b')], 0.1, true],
  ])('%s', (_title, weights, findings, achieved, partial) => {
    expect(assessCoverage(rule({ method: 'weighted_coverage', weights }), findings, [])).toMatchObject({
      achieved,
      partial,
    });
  });
});

describe('taxonomy coverage', () => {
  test.each<[string, string[], Finding[], string[], number]>([
    ['a label below a category hits it', ['PII'], [found('a', 'success', 'PII.Identifier.SSN')], [], 1],
    ['the category itself hits it', ['PII', 'HARM'], [found('a', 'success', 'PII')], [], 0.5],
    ['a longer word does not', ['PII'], [found('a', 'success', 'PIIX.Y')], [], 0],
    ['a label above a category does not', ['PII.Identifier'], [found('a', 'success', 'PII')], [], 0],
    ['a failed try’s labels do not count', ['PII'], [found('a', 'failed', 'PII')], [], 0],
    [
      'the mapping’s labels count',
      ['PII', 'HARM'],
      [found('a', 'success', 'PII')],
      ['HARM.SPEECH.Toxicity'],
      1,
    ],
    ['a category named twice counts once', ['PII', 'PII', 'HARM'], [found('a', 'success', 'PII')], [], 0.5],
    ['nothing required is never covered', [], [found('a', 'success', 'PII')], [], 0],
    ['the labels of a result under its threshold do not count', ['PII'], [unsure('a', 'PII')], [], 0],
  ])('%s', (_title, required_categories, findings, mapped, achieved) => {
    const coverage = assessCoverage(
      rule({ method: 'taxonomy_coverage', required_categories }),
      findings,
      mapped,
    );
    expect(coverage.achieved).toBe(achieved);
  });
});

test('a third reaches a threshold of a third', () => {
  const required_detectors = ['a', 'b', 'c'];
  expect(assessCoverage(rule({ required_detectors, threshold: 1 / 3 }), [found('a')], []).partial).toBe(
    false,
  );
});

test.each(COVERAGE_METHODS)('a %s that requires nothing is partial even with the threshold 0', (method) => {
  expect(assessCoverage(rule({ method, threshold: 0 }), [], [])).toMatchObject({
    achieved: 0,
    partial: true,
  });
});

test('a detector below its threshold was attempted, and did not succeed', () => {
  expect(assessCoverage(rule({}), [unsure('a')], [])).toMatchObject({ attempted: 1, succeeded: 0 });
});

test('attempts count once for each detector, and a skipped detector was not attempted', () => {
  const findings = [found('a', 'failed'), found('a'), found('b', 'timeout'), found('c', 'skipped')];
  expect(assessCoverage(rule({}), findings, [])).toMatchObject({ attempted: 2, succeeded: 1 });
});

test.each([
  ['a text', 'PII', ['PII']],
  ['a list of texts', ['PII', 7, null, 'HARM'], ['PII', 'HARM']],
  ['an object', { PII: 1 }, []],
  ['nothing', undefined, []],
])('%s names its labels', (_what, value, labels) => {
  expect(labelsOf(value)).toEqual(labels);
});
