import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkTemplate,
  renderTemplate,
  templateContent,
  type TemplateContent,
  type TemplateValues,
} from './template.ts';

const values: TemplateValues = {
  tenantId: 'acme',
  requestId: '0195d6a0-0000-7000-8000-000000000001',
  analysisType: 'gap_analysis',
  period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
  metrics: {
    coverage: { rate: 0.75, ok: false },
    'by-detector': { pii_1: 3 },
    note: 'all $& well',
    list: [1],
  },
  evidenceCount: 2,
};

const content = (given: Partial<TemplateContent>): TemplateContent =>
  templateContent.parse({ explanation: 'x', ...given });
const rendered = (text: string, with_ = values): string =>
  renderTemplate(content({ explanation: text }), with_).explanation;

describe('rendering a template', () => {
  it.each([
    ['{{period.start}} to {{ period.end }}', '2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z'],
    [
      '{{tenant_id}}/{{request_id}}/{{analysis_type}}',
      'acme/0195d6a0-0000-7000-8000-000000000001/gap_analysis',
    ],
    ['{{evidence_count}} records', '2 records'],
    ['{{metrics.coverage.rate}} {{metrics.coverage.ok}} {{metrics.by-detector.pii_1}}', '0.75 false 3'],
    ['{{metrics.note}}', 'all $& well'],
    ['{{metrics.none.at.all}} {{metrics.coverage}} {{metrics.list.0}} {{unknown}}', 'n/a n/a n/a n/a'],
    [
      '{{metrics.__proto__.toString}} {{metrics.constructor.name}} {{metrics.list.length}} {{constructor}}',
      'n/a n/a n/a n/a',
    ],
    ['{{', '{{'],
    ['plain { } text', 'plain { } text'],
  ])('renders %j as %j', (text, expected) => {
    expect(rendered(text)).toBe(expected);
  });

  it('does not render placeholders inside a value', () => {
    const nested = { ...values, metrics: { a: '{{tenant_id}}', b: '{{metrics.a}}' } };
    expect(rendered('{{metrics.a}} {{metrics.b}}', nested)).toBe('{{tenant_id}} {{metrics.a}}');
  });

  it('inserts at most 200 characters of a value, and never half a surrogate pair', () => {
    const long = rendered('{{metrics.a}}', {
      ...values,
      metrics: { a: `${'a'.repeat(198)}😀${'b'.repeat(50)}` },
    });
    expect(long).toBe(`${'a'.repeat(198)}…`);
  });

  it('renders the texts of steps and of their fields at any depth, and leaves everything else alone', () => {
    const result = renderTemplate(
      content({
        remediation_steps: [
          'raise {{metrics.coverage.rate}}',
          { title: '{{tenant_id}}', n: 1, tags: ['{{nope}}'] },
        ],
        policy_recommendations: [{ '{{tenant_id}}': null }],
        confidence: 0.4,
      }),
      values,
    );
    expect(result).toEqual({
      explanation: 'x',
      remediation_steps: ['raise 0.75', { title: 'acme', n: 1, tags: ['n/a'] }],
      policy_recommendations: [{ '{{tenant_id}}': null }],
      confidence: 0.4,
    });
  });

  it('never fails, with any text and metrics', () => {
    fc.assert(
      fc.property(fc.string(), fc.dictionary(fc.string(), fc.anything()), (text, metrics) => {
        expect(typeof rendered(`${text}{{metrics.${text}}}`, { ...values, metrics })).toBe('string');
      }),
    );
  });
});

describe('checking a template', () => {
  it('accepts a template whose variables are declared, and declarations that are not used', () => {
    const given = content({ explanation: '{{tenant_id}} {{metrics.a}}' });
    expect(checkTemplate(given, ['tenant_id', 'metrics.a', 'period.start'])).toEqual([]);
  });

  it('reports every undeclared, unknown and broken variable with its place', () => {
    const given = content({
      explanation: '{{tenant_id}} {{secret}} {{metrics}}',
      remediation_steps: [{ text: '{{ broken {{period.start}}' }],
    });
    expect(
      checkTemplate(given, ['period.start', 'process.env']).map(({ pointer, detail }) => [pointer, detail]),
    ).toEqual([
      ['/variables/1', expect.stringContaining('is not a variable of analyses')],
      ['/template_content/explanation', 'uses {{tenant_id}}, which variables does not declare'],
      ['/template_content/explanation', 'uses {{secret}}, which is not a variable of analyses'],
      ['/template_content/explanation', 'uses {{metrics}}, which is not a variable of analyses'],
      ['/template_content/remediation_steps/0/text', 'has double braces that enclose no variable'],
    ]);
  });
});
