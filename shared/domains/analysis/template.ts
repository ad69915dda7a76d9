import { z } from 'zod';
import { freeForm, unit } from '../../platform/http/fields.ts';
import type { Fault } from '../../platform/call/problem.ts';
import { findInJson, mapTexts } from '../../platform/json/walk.ts';

/** A step or a recommendation: a sentence, or an object with the client's own fields. */
const part = z.union([z.string().min(1).max(2000), freeForm]);
type Part = z.output<typeof part>;

/** A template's content (`analysis_templates.template_content`). Its texts may contain `{{variables}}`. */
export const templateContent = z.strictObject({
  explanation: z.string().min(1).max(20_000),
  remediation_steps: z.array(part).max(100).default([]),
  policy_recommendations: z.array(part).max(100).default([]),
  confidence: unit
    .optional()
    .describe('The confidence that a rendered analysis has; without it, that of the response it replaces.'),
});
export type TemplateContent = z.output<typeof templateContent>;

/** The values of a template's variables. */
export interface TemplateValues {
  readonly tenantId: string;
  readonly requestId: string;
  readonly analysisType: string;
  readonly period: { readonly start: string; readonly end: string };
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly evidenceCount: number;
}

/** The variables with a fixed name. There is also `metrics.<path>`, e.g. `metrics.coverage.rate`. */
const TEMPLATE_VARIABLES = [
  'period.start',
  'period.end',
  'analysis_type',
  'evidence_count',
  'tenant_id',
  'request_id',
] as const;
type NamedVariable = (typeof TEMPLATE_VARIABLES)[number];

const METRIC_VARIABLE = /^metrics(\.[A-Za-z0-9_-]+)+$/;
const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;
/** Replaces a value that is missing, or is a list or an object. */
const MISSING = 'n/a';
/** A template with thousands of placeholders must not multiply a long value into a huge analysis. */
const VALUE_MAX = 200;

function isNamed(name: string): name is NamedVariable {
  return (TEMPLATE_VARIABLES as readonly string[]).includes(name);
}

function isKnown(name: string): boolean {
  return isNamed(name) || METRIC_VARIABLE.test(name);
}

interface Text {
  readonly pointer: string;
  readonly text: string;
}

/** Every text of a template with its place. Field names are not rendered. */
function textsOf(value: unknown, root: string): Text[] {
  const texts: Text[] = [];
  findInJson(value, (member, { pointer }) => {
    if (typeof member === 'string') texts.push({ pointer: root + pointer, text: member });
  });
  return texts;
}

function namesIn(text: string): string[] {
  return Array.from(text.matchAll(PLACEHOLDER), (match) => (match[1] ?? '').trim());
}

/**
 * A template's faults: braces without a variable inside, unknown variables, variables that are used but not declared in
 * `variables`. Pointers are into a body with `template_content` and `variables`.
 */
export function checkTemplate(content: TemplateContent, variables: readonly string[]): Fault[] {
  const known = `${TEMPLATE_VARIABLES.join(', ')}, metrics.<path>`;
  const declared = variables.flatMap((name, n) =>
    isKnown(name)
      ? []
      : [{ pointer: `/variables/${n}`, detail: `is not a variable of analyses; there are ${known}` }],
  );
  const used = textsOf(content, '/template_content').flatMap(({ pointer, text }) => {
    const rest = text.replaceAll(PLACEHOLDER, ' ');
    const names = [...new Set(namesIn(text))];
    return [
      ...(rest.includes('{{') || rest.includes('}}')
        ? [{ pointer, detail: 'has double braces that enclose no variable' }]
        : []),
      ...names.flatMap((name) => {
        if (!isKnown(name)) {
          // A declared unknown name is reported at its declaration.
          return variables.includes(name)
            ? []
            : [{ pointer, detail: `uses {{${name}}}, which is not a variable of analyses` }];
        }
        if (variables.includes(name)) return [];
        return [{ pointer, detail: `uses {{${name}}}, which variables does not declare` }];
      }),
    ];
  });
  return [...declared, ...used];
}

/**
 * Renders a template in one pass. An inserted value is not rendered again, so that a metric cannot add placeholders.
 * Texts, numbers and booleans are inserted as they are, at most 200 characters each. Any other or missing value is `n/a`.
 */
export function renderTemplate(content: TemplateContent, values: TemplateValues): TemplateContent {
  const parts = (given: TemplateContent['remediation_steps']): TemplateContent['remediation_steps'] =>
    given.map((step) => renderPart(step, values));
  return {
    ...content,
    explanation: renderText(content.explanation, values),
    remediation_steps: parts(content.remediation_steps),
    policy_recommendations: parts(content.policy_recommendations),
  };
}

function renderText(text: string, values: TemplateValues): string {
  return text.replaceAll(PLACEHOLDER, (_placeholder, name: string) =>
    renderValue(valueOf(name.trim(), values)),
  );
}

function renderPart(given: Part, values: TemplateValues): Part {
  const render = (text: string): string => renderText(text, values);
  return typeof given === 'string'
    ? render(given)
    : Object.fromEntries(Object.entries(given).map(([name, value]) => [name, mapTexts(value, render)]));
}

function renderValue(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return MISSING;
  if (value.length <= VALUE_MAX) return value;
  // PostgreSQL does not store half a surrogate pair.
  return `${value.slice(0, VALUE_MAX - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

function valueOf(name: string, values: TemplateValues): unknown {
  if (isNamed(name)) return namedValue(name, values);
  if (!METRIC_VARIABLE.test(name)) return undefined;
  const [, ...path] = name.split('.');
  return path.reduce<unknown>(memberOf, values.metrics);
}

function namedValue(name: NamedVariable, values: TemplateValues): string | number {
  switch (name) {
    case 'period.start':
      return values.period.start;
    case 'period.end':
      return values.period.end;
    case 'analysis_type':
      return values.analysisType;
    case 'evidence_count':
      return values.evidenceCount;
    case 'tenant_id':
      return values.tenantId;
    case 'request_id':
      return values.requestId;
  }
}

/** A metric's own member, never an inherited one. */
function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
    return undefined;
  return Reflect.get(value, name) as unknown;
}
