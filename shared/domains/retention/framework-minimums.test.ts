import { describe, expect, it } from 'vitest';
import { isPlainName, minimumOf } from './framework-minimums.ts';

describe('the minimum of a framework', () => {
  it.each([
    ['HIPAA', 2190],
    ['HIPAA 2013', 2190],
    ['hipaa-omnibus', 2190],
    ['H.I.P.A.A.', 2190],
    ['HIPAA/HITECH', 2190],
    ['HIPPA', 2190],
    ['H\u200bI\u00adPAA', 2190],
    ['HÍPÀÅ', 2190],
    ['ＨＩＰＡＡ', 2190],
    ['45 CFR 164', 2190],
    ['SOC2', 365],
    ['SOC 2 Type II', 365],
    ['AICPA SOC-2 (2017 TSC)', 365],
    ['SOC II', 365],
    ['SOC Type 2', 365],
    ['SOC Type II report', 365],
    ['SSAE 18 SOC-TYPE-2', 365],
    ['System and Organization Controls 2', 365],
    ['Service Organisation Control 2', 365],
    ['ISO27001', 365],
    ['ISO/IEC 27001:2022', 365],
    ['ISO 27K', 365],
    ['iso27k series', 365],
    ['ISO 27000', 365],
    ['PCI DSS v4.0.1', 365],
    ['pci', 365],
    ['SOC 2 + HIPAA', 2190],
  ])('is found with any additions to its name: %s', (framework, days) => {
    expect(minimumOf([framework])).toEqual({ framework, days });
  });

  it.each([
    'GDPR',
    'SOC 1 Type 2',
    'SOC III',
    'SOC Type 1',
    'SOC Type I',
    'ISO 9001',
    'NIST AI RMF',
    'EU AI Act',
    'Social 2',
    '',
  ])('does not exist for others: %s', (framework) => {
    expect(minimumOf([framework])).toBeUndefined();
  });

  it('is the longest of several, and none without frameworks', () => {
    expect(minimumOf(['SOC2', 'GDPR', 'HIPAA 2013', 'PCI'])).toEqual({ framework: 'HIPAA 2013', days: 2190 });
    expect(minimumOf([])).toBeUndefined();
  });
});

describe('a framework’s name', () => {
  it.each([
    'HIPAA',
    'SOC 2® Type II™',
    'ISO/IEC 27001 – 2022',
    'Loi Informatique et Libertés',
    'ＨＩＰＡＡ',
    '§ 203 (StGB)',
  ])('is plain in Latin letters: %s', (name) => {
    expect(isPlainName(name)).toBe(true);
  });

  it.each([
    ['Cyrillic', 'НІРАА'],
    ['one Cyrillic letter', 'HIPAА'],
    ['Greek', 'ΗΙΡΑΑ'],
    ['Cherokee', 'ᎻᎥᏢᎪᎪ'],
    ['small capitals', 'ʜɪᴘᴀᴀ'],
    ['letters in squares', '🅷🅸🅿🅰🅰'],
    ['regional indicators', '🇭🇮🇵🇦🇦'],
    ['other digits', 'SOC ٢'],
    ['private use', 'HIPA\ue000'],
  ])('is not plain in %s, in which it could look like another', (_what, name) => {
    expect(isPlainName(name)).toBe(false);
  });
});
