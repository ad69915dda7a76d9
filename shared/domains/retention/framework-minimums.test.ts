import { describe, expect, it } from 'vitest';
import { minimumOf } from './framework-minimums.ts';

describe('the least that a framework asks for', () => {
  it.each([
    ['HIPAA', 2190],
    ['HIPAA 2013', 2190],
    ['hipaa-omnibus', 2190],
    ['H.I.P.A.A.', 2190],
    ['HIPAA/HITECH', 2190],
    ['ＨＩＰＡＡ', 2190],
    ['45 CFR 164', 2190],
    ['SOC2', 365],
    ['SOC 2 Type II', 365],
    ['AICPA SOC-2 (2017 TSC)', 365],
    ['SOC II', 365],
    ['ISO27001', 365],
    ['ISO/IEC 27001:2022', 365],
    ['PCI DSS v4.0.1', 365],
    ['pci', 365],
    ['SOC 2 + HIPAA', 2190],
  ])('is found whatever its name adds: %s', (framework, days) => {
    expect(minimumOf([framework])).toEqual({ framework, days });
  });

  it.each(['GDPR', 'SOC 1 Type 2', 'SOC III', 'ISO 9001', 'NIST AI RMF', 'EU AI Act', ''])(
    'is nothing for others: %s',
    (framework) => {
      expect(minimumOf([framework])).toBeUndefined();
    },
  );

  it('is the longest of several, and nothing of none', () => {
    expect(minimumOf(['SOC2', 'GDPR', 'HIPAA 2013', 'PCI'])).toEqual({ framework: 'HIPAA 2013', days: 2190 });
    expect(minimumOf([])).toBeUndefined();
  });
});
