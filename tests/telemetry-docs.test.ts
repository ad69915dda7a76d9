import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { INSTRUMENTS, type Instrument } from '../shared/platform/telemetry/instruments.ts';

const ROOT = path.join(import.meta.dirname, '..');

function rowOf([name, { kind, unit, attributes, description }]: [string, Instrument]): string {
  const described = Object.entries(attributes).map(([attribute, values]) =>
    values === 'declared' ? `\`${attribute}\`` : `\`${attribute}\` (${values.join(', ')})`,
  );
  return [`\`${name}\``, kind, `\`${unit}\``, described.join('; ') || '—', description].join(' | ');
}

describe('docs/telemetry.md', () => {
  it('has the row of every instrument, as it is declared, and no other', () => {
    const document = readFileSync(path.join(ROOT, 'docs/telemetry.md'), 'utf8');
    const [, section = ''] = /## Metrics\n([^]*?)\nHow to read them/.exec(document) ?? [];
    const rows = section
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) =>
        line
          .slice(1, -1)
          .split(' | ')
          .map((cell) => cell.trim())
          .join(' | '),
      );
    expect(rows).toEqual(Object.entries(INSTRUMENTS).map(rowOf));
  });
});

describe('an instrument', () => {
  const all: [string, Instrument][] = Object.entries(INSTRUMENTS);

  it.each(all)('has a valid name, and what its kind needs: %s', (name, { kind, buckets, attributes }) => {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(name.endsWith('_total')).toBe(kind === 'counter');
    expect(buckets === undefined).toBe(kind !== 'histogram');
    expect([...(buckets ?? [])].sort((left, right) => left - right)).toEqual([...(buckets ?? [])]);
    expect(Object.keys(attributes).filter((attribute) => /tenant|user|key|^id|_id$/.test(attribute))).toEqual(
      [],
    );
  });
});
