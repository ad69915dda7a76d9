import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { pageStatement } from '../db/keyset.ts';
import { analysisTemplates } from '../../domains/analysis/analysis-templates.ts';
import { complianceMappings } from '../../domains/mapping/compliance-mappings.ts';
import { detectorConfigs } from '../../domains/orchestration/detector-configs.ts';
import { legalHolds } from '../../domains/retention/legal-holds.ts';
import { modelVersions } from '../../domains/mapping/model-versions.ts';
import { checkRetentionPolicy, dataRetentionPolicies } from '../../domains/retention/retention-policies.ts';
import { checkRoutingPlan, routingPlans } from '../../domains/orchestration/routing-plans.ts';
import { taxonomyLabels } from '../../domains/mapping/taxonomy-labels.ts';
import { declareResource, type Resource } from './resource.ts';
import { insertText, listOf, readStatement, updateText } from './resource-sql.ts';

const DECLARED: readonly Resource[] = [
  analysisTemplates,
  complianceMappings,
  detectorConfigs,
  legalHolds,
  modelVersions,
  dataRetentionPolicies,
  routingPlans,
  taxonomyLabels,
];

const gadget = (scope: Resource['scope']): Resource =>
  declareResource({
    name: 'gadgets',
    one: 'gadget',
    table: 'gadgets',
    idColumn: 'gadget_id',
    scope,
    verbs: [],
    permissions: { read: 'config:read', write: 'config:write' },
    body: z.strictObject({ label: z.string(), version: z.string() }),
    columns: { version: 'gadget_version' },
    filters: { version: z.string() },
  });

const squeezed = (text: string): string => text.replace(/\s+/g, ' ').trim();

describe('every declared resource', () => {
  test.each(DECLARED.map((resource) => [resource.name, resource] as const))(
    '%s has a value for each field that a body may leave out',
    (_name, resource) => {
      for (const [field, schema] of Object.entries(resource.body.shape)) {
        const absent = z.safeParse(schema, undefined);
        expect({ field, leavesGap: absent.success && absent.data === undefined }).toEqual({
          field,
          leavesGap: false,
        });
      }
    },
  );

  test.each(DECLARED.map((resource) => [resource.name, resource] as const))(
    '%s is written by operators alone exactly if it is the platform’s',
    (_name, resource) => {
      expect(resource.permissions.write === 'platform:operate').toBe(resource.scope === 'platform');
    },
  );
});

describe('the SQL of a resource', () => {
  test('reads a tenant’s row by the tenant of the scope', () => {
    const { text, parameters } = readStatement(gadget('tenant'), 'an-id');
    expect(squeezed(text)).toContain('t.gadget_id = $2 and t.tenant_id = scope.tenant_id offset 0');
    expect(parameters).toEqual(['an-id']);
  });

  test('reads a shared row of the tenant before one of the platform', () => {
    const { text, parameters } = readStatement(gadget('shared'), 'an-id');
    expect(squeezed(text)).toContain(
      't.tenant_id in (scope.tenant_id, $3) order by t.tenant_id = scope.tenant_id desc',
    );
    expect(parameters).toEqual(['an-id', 'platform']);
  });

  test('names no tenant where the platform’s table has none', () => {
    expect(readStatement(gadget('platform'), 'an-id').text).not.toContain('tenant_id =');
    expect(insertText(gadget('platform'), ['label'])).not.toContain('tenant_id');
    expect(updateText(gadget('platform'), ['label'])).not.toContain('tenant_id');
  });

  test('narrows a list by columns, and binds what a client sent', () => {
    const list = listOf(gadget('shared'), { version: `'; drop table gadgets` });
    const { text, parameters } = pageStatement(list, { limit: 10, descending: true, after: undefined });
    expect(text).toContain('t.tenant_id in (scope.tenant_id, $2) and t.gadget_version = $3');
    expect(parameters).toEqual(['platform', `'; drop table gadgets`, 11]);
  });

  test('counts the version up with every replacement, of the tenant’s own row only', () => {
    const text = squeezed(updateText(gadget('tenant'), ['label', 'gadget_version']));
    expect(text).toContain('set label = r.label, gadget_version = r.gadget_version, version = t.version + 1');
    expect(text).toContain('where t.tenant_id = $4::text and t.gadget_id = $1::uuid');
  });

  test('reads a renamed column under its JSON name, and the row’s version under another', () => {
    expect(insertText(gadget('tenant'), ['label'])).toContain('t.gadget_version as version');
    expect(insertText(gadget('tenant'), ['label'])).toContain('t.version as row_version');
  });
});

describe('a routing plan', () => {
  const plan = (fields: object) => routingPlans.body.parse({ plan_name: 'p', ...fields });
  test.each([
    ['required_set needs nothing more', { coverage_method: 'required_set' }, []],
    [
      'weights that sum to 1 within a millionth are counted',
      {
        coverage_method: 'weighted_coverage',
        primary_detectors: ['a', 'b', 'c'],
        weights: { a: 0.1, b: 0.2, c: 0.7 },
      },
      [],
    ],
    [
      'weights that do not sum to 1 are refused',
      { coverage_method: 'weighted_coverage', primary_detectors: ['a'], weights: { a: 0.9 } },
      ['/weights'],
    ],
    [
      'a weight of a stranger is refused',
      { coverage_method: 'weighted_coverage', secondary_detectors: ['a'], weights: { a: 0.5, 'b/c': 0.5 } },
      ['/weights/b~1c'],
    ],
    [
      'taxonomy coverage without categories is refused',
      { coverage_method: 'taxonomy_coverage' },
      ['/required_taxonomy_categories'],
    ],
  ])('%s', (_title, fields, pointers) => {
    expect(checkRoutingPlan(plan(fields)).map((fault) => fault.pointer)).toEqual(pointers);
  });
});

describe('a retention policy', () => {
  test.each([
    ['HIPAA', 2189, false],
    ['HIPAA', 2190, true],
    ['SOC 2', 364, false],
    ['iso-27001', 365, true],
    ['PCI-DSS', 364, false],
    ['House rules', 1, true],
    [null, 1, true],
  ])('under %s for %i days: allowed is %s', (framework, days, allowed) => {
    const policy = dataRetentionPolicies.body.parse({
      data_type: 'storage_records',
      retention_days: days,
      compliance_framework: framework,
    });
    expect(checkRetentionPolicy(policy).length === 0).toBe(allowed);
  });
});
