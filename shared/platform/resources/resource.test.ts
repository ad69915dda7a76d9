import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { pageStatement } from '../db/keyset.ts';
import { dataRetentionPolicies, faultsOfPolicy } from '../../domains/retention/retention-policies.ts';
import { checkRoutingPlan, routingPlans } from '../../domains/orchestration/routing-plans.ts';
import { locationOf, type Collection } from './collection.ts';
import { collectionPathOf, declareResource, operatorVerbsOf, type Resource } from './resource.ts';
import { resourceEndpoints } from './resource-endpoints.ts';
import { resourceSchemas } from './resource-schemas.ts';
import {
  findText,
  insertText,
  listOf,
  lockText,
  parentsStatement,
  readStatement,
  updateText,
} from './resource-sql.ts';

const declare = (fields: Partial<Resource> = {}): Resource =>
  declareResource<z.ZodObject>({
    name: 'gadgets',
    one: 'gadget',
    description: 'A gadget. It is made for a test.',
    table: 'gadgets',
    idColumn: 'gadget_id',
    scope: 'tenant',
    verbs: [],
    permissions: { read: 'config:read', write: 'config:write' },
    body: z.strictObject({ label: z.string(), version: z.string() }),
    columns: { version: 'gadget_version' },
    filters: { version: z.string() },
    sample: ({ unique }) => ({ label: unique, version: '1' }),
    ...fields,
  });

const gadget = (scope: Resource['scope']): Resource => declare({ scope });

const collection = (resource: Resource, fields: Partial<Collection> = {}): Collection => ({
  resource,
  parentIds: [],
  restricted: true,
  ...fields,
});

const parts = declare({
  name: 'gadget-parts',
  one: 'part',
  table: 'gadget_parts',
  idColumn: 'part_id',
  parent: {
    resource: declare({ visibleToTenants: 'not t.is_secret' }),
    column: 'gadget_id',
    segment: 'parts',
  },
});
const screws = declare({
  name: 'gadget-part-screws',
  table: 'screws',
  idColumn: 'screw_id',
  parent: { resource: parts, column: 'part_id', segment: 'screws' },
});

const squeezed = (text: string): string => text.replace(/\s+/g, ' ').trim();

describe('the SQL of a resource', () => {
  test('reads a tenant’s row by the tenant of the scope', () => {
    const { text, parameters } = readStatement(collection(gadget('tenant')), 'an-id');
    expect(squeezed(text)).toContain('t.gadget_id = $2 and t.tenant_id = scope.tenant_id offset 0');
    expect(parameters).toEqual(['an-id']);
  });

  test('reads a shared row of the tenant before one of the platform', () => {
    const { text, parameters } = readStatement(collection(gadget('shared')), 'an-id');
    expect(squeezed(text)).toContain(
      't.tenant_id in (scope.tenant_id, $3) order by t.tenant_id = scope.tenant_id desc',
    );
    expect(parameters).toEqual(['an-id', 'platform']);
  });

  test('names no tenant where the platform’s table has none', () => {
    expect(readStatement(collection(gadget('platform')), 'an-id').text).not.toContain('tenant_id =');
    expect(insertText(gadget('platform'), ['label'])).not.toContain('tenant_id');
    expect(updateText(gadget('platform'), ['label'])).not.toContain('tenant_id');
  });

  test('narrows a list by columns, and binds what a client sent', () => {
    const list = listOf(collection(gadget('shared')), { version: `'; drop table gadgets` });
    const { text, parameters } = pageStatement(list, { limit: 10, descending: true, after: undefined });
    expect(text).toContain('t.tenant_id in (scope.tenant_id, $2) and t.gadget_version = $3');
    expect(parameters).toEqual(['platform', `'; drop table gadgets`, 11]);
  });

  test('increases the version with every replacement, and replaces only the tenant’s own row', () => {
    const text = squeezed(updateText(gadget('tenant'), ['label', 'gadget_version']));
    expect(text).toContain('set label = r.label, gadget_version = r.gadget_version, version = t.version + 1');
    expect(text).toContain('where t.tenant_id = $4::text and t.gadget_id = $1::uuid');
  });

  test('reads a renamed column under its JSON name, and the row’s version under another', () => {
    expect(insertText(gadget('tenant'), ['label'])).toContain('t.gadget_version as version');
    expect(insertText(gadget('tenant'), ['label'])).toContain('t.version as row_version');
  });

  test('reads numbers as doubles, since the driver returns numeric as text', () => {
    const body = z.strictObject({ amount: z.number().nullable().default(null) });
    expect(insertText(declare({ body, columns: {} }), ['amount'])).toContain('t.amount::float8 as amount');
  });

  test('needs no version and no time of change for rows that never change', () => {
    const text = insertText(declare({ versioned: false }), ['label']);
    expect(text).not.toMatch(/row_version|updated_at/);
  });

  test('excludes hidden rows from every statement, except for operators', () => {
    const resource = declare({ visibleToTenants: 'not t.is_internal' });
    const page = { limit: 10, descending: true, after: undefined };
    for (const restricted of [true, false]) {
      const of = collection(resource, { restricted });
      const texts = [
        readStatement(of, 'an-id').text,
        pageStatement(listOf(of, {}), page).text,
        lockText(resource, restricted),
        findText(resource, restricted),
      ];
      expect(texts.map((text) => text.includes('not t.is_internal'))).toEqual(texts.map(() => restricted));
    }
  });

  test('reaches a row only through its parent', () => {
    const of = collection(parts, { parentIds: ['g'] });
    expect(readStatement(of, 'an-id')).toMatchObject({
      text: expect.stringContaining('t.gadget_id = $3'),
      parameters: ['an-id', 'g'],
    });
    expect(listOf(of, {}).conditions).toEqual([{ sql: 't.gadget_id = ?', value: 'g' }]);
    expect(updateText(parts, ['label'])).toContain(
      't.tenant_id = $4::text and t.gadget_id = $5::uuid and t.part_id = $1::uuid',
    );
    expect(lockText(parts)).toContain(
      't.tenant_id = $2::text and t.gadget_id = $3::uuid and t.part_id = $1::uuid',
    );
  });

  test('finds every parent above a row, each under its own parent and its own visibility', () => {
    const of = collection(screws, { parentIds: ['g', 'p'] });
    const inScope = parentsStatement(of, 'acme', true);
    expect(squeezed(inScope?.text ?? '')).toBe(
      'select from scope, lateral (select from gadgets t where t.gadget_id = $2::uuid and t.tenant_id = scope.tenant_id ' +
        'and (not t.is_secret) offset 0) p0, lateral (select from gadget_parts t where t.part_id = $3::uuid ' +
        'and t.tenant_id = scope.tenant_id and t.gadget_id = $4::uuid offset 0) p1',
    );
    expect(inScope?.parameters).toEqual(['g', 'p', 'g']);
    const inTransaction = parentsStatement(of, 'acme', false);
    expect(inTransaction?.text).toContain('t.gadget_id = $1::uuid and t.tenant_id = $2::text');
    expect(inTransaction?.parameters).toEqual(['g', 'acme', 'p', 'acme', 'g']);
    expect(parentsStatement(collection(gadget('tenant')), 'acme', true)).toBeUndefined();
  });

  test('finds a parent of the platform without a tenant, the tenant’s own below it with one', () => {
    const model = declare({ name: 'models', scope: 'platform', idColumn: 'model_id', idSchema: z.string() });
    const parent = { resource: model, column: 'model_id', segment: 'gadgets' };
    const of = collection(declare({ parent }), { parentIds: ['m'] });
    const inScope = parentsStatement(of, 'acme', true);
    expect(squeezed(inScope?.text ?? '')).toBe(
      'select from scope, lateral (select from gadgets t where t.model_id = $2::text offset 0) p0',
    );
    expect(inScope?.parameters).toEqual(['m']);
    const inTransaction = parentsStatement(of, 'acme', false);
    expect(inTransaction?.text).toContain('where t.model_id = $1::text offset 0');
    expect(inTransaction?.parameters).toEqual(['m']);
    expect(insertText(of.resource, ['model_id', 'label'])).toContain(
      '(tenant_id, gadget_id, model_id, label',
    );
    expect(lockText(of.resource)).toContain(
      't.tenant_id = $2::text and t.model_id = $3::text and t.gadget_id',
    );
  });
});

describe('a declaration', () => {
  const secretive = declare({ visibleToTenants: 'not t.is_secret' });
  const under = (resource: Resource) => ({ parent: { resource, column: 'gadget_id', segment: 'parts' } });

  test.each<[string, () => Resource, RegExp]>([
    [
      'with ids that clients choose, for rows that tenants may not see',
      () => declare({ visibleToTenants: 'not t.is_secret', idSchema: z.string() }),
      /ids .* are made by the service/,
    ],
    [
      'with ids that clients choose, below a parent that tenants may not see',
      () => declare({ ...under(secretive), idSchema: z.string() }),
      /ids .* are made by the service/,
    ],
    [
      'of hidden rows below a parent that tenants delete',
      () => declare({ ...under(declare({ verbs: ['delete'] })), visibleToTenants: 'not t.is_secret' }),
      /a gadget is not deleted by tenants/,
    ],
    [
      'of hidden rows two below a parent that tenants delete',
      () => declare({ ...under(declare(under(declare({ verbs: ['delete'] })))), visibleToTenants: 'x' }),
      /a gadget is not deleted by tenants/,
    ],
    ['that deletes and deactivates', () => declare({ verbs: ['delete', 'deactivate'] }), /not both/],
    [
      'that lets operators delete and deactivate',
      () => declare({ operatorVerbs: ['delete', 'deactivate'] }),
      /not both/,
    ],
    [
      'that replaces rows without a version',
      () => declare({ versioned: false, operatorVerbs: ['replace'] }),
      /without a version/,
    ],
    [
      'of the platform’s rows with verbs for operators in a tenant',
      () => declare({ scope: 'platform', operatorVerbs: ['list'] }),
      /rows of tenants/,
    ],
    ['below a shared resource', () => declare(under(gadget('shared'))), /no shared resource/],
    [
      'below a parent of another database',
      () => declare({ ...under(gadget('tenant')), database: 'billing' }),
      /same/,
    ],
  ])('%s is refused', (_what, make, words) => {
    expect(make).toThrow(words);
  });

  test('may let tenants delete what has no hidden rows below it, hidden or not', () => {
    const deleted = declare({ verbs: ['delete'], visibleToTenants: 'not t.is_secret' });
    expect(() => declare({ ...under(deleted), verbs: ['delete'] })).not.toThrow();
  });

  test('may have hidden rows of the platform’s under ids that operators choose', () => {
    expect(() =>
      declare({ scope: 'platform', visibleToTenants: 't.is_shown', idSchema: z.string() }),
    ).not.toThrow();
  });

  test.each<[string, Resource, readonly string[]]>([
    ['nothing with rows that tenants see', declare({ verbs: ['list'] }), []],
    [
      'what tenants may with those that can be hidden',
      declare({ verbs: ['list'], visibleToTenants: 'x' }),
      ['list'],
    ],
    ['likewise below a hidden parent', declare({ ...under(secretive), verbs: ['read'] }), ['read']],
    [
      'nothing with the platform’s',
      declare({ verbs: ['list'], scope: 'platform', visibleToTenants: 'x' }),
      [],
    ],
    ['what it says', declare({ verbs: ['list'], operatorVerbs: ['create', 'list'] }), ['create', 'list']],
  ])('lets operators do %s, for a tenant that they name', (_what, resource, verbs) => {
    expect(operatorVerbsOf(resource)).toEqual(verbs);
    const routes = resourceEndpoints([resource]).filter(({ forNamedTenant }) => forNamedTenant);
    expect(routes.map(({ name, permission }) => [name, permission])).toEqual(
      verbs.map((verb) => [`platform-${resource.name}-${verb}`, 'platform:operate']),
    );
  });
});

describe('the path of a resource', () => {
  test('lies below its parents', () => {
    expect(collectionPathOf(screws)).toBe('gadgets/{gadget_id}/parts/{part_id}/screws');
    const of = collection(screws, { parentIds: ['g 1', 'p'] });
    expect(locationOf(of, 'a/b')).toBe('/api/v1/gadgets/g%201/parts/p/screws/a%2Fb');
  });

  test('accepts the service’s ids in either case, as one id', () => {
    const { params } = resourceSchemas(gadget('tenant'));
    const id = '0190A5F0-0000-7000-8000-00000000000A';
    expect(params.parse({ gadget_id: id })).toEqual({ gadget_id: id.toLowerCase() });
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
      'a weight of an unknown detector is refused',
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
    expect(faultsOfPolicy(policy, []).length === 0).toBe(allowed);
  });
});
