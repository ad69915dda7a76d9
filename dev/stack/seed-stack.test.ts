import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, expect, test } from 'vitest';
import type { z } from 'zod';
import { parseApiKey } from '../../shared/platform/auth/api-key.ts';
import { checkTemplate } from '../../shared/domains/analysis/template.ts';
import { analysisTemplates } from '../../shared/domains/analysis/analysis-templates.ts';
import { complianceMappings } from '../../shared/domains/mapping/compliance-mappings.ts';
import { detectorConfigs } from '../../shared/domains/orchestration/detector-configs.ts';
import { checkRoutingPlan, routingPlans } from '../../shared/domains/orchestration/routing-plans.ts';
import { taxonomyLabels } from '../../shared/domains/mapping/taxonomy-labels.ts';
import type { Resource } from '../../shared/platform/resources/resource.ts';
import { bodyFields, selectList } from '../../shared/platform/resources/resource-sql.ts';
import { openDatabases } from '../../tests/harness/databases.ts';
import { seedStack } from './seed-stack.ts';

const databases = await openDatabases();
const core = postgres(databases.core.admin, { max: 1, onnotice: () => undefined });
const billing = postgres(databases.billing.admin, { max: 1, onnotice: () => undefined });
afterAll(() => Promise.all([core.end(), billing.end()]));

// A seed writes only rows: it connects neither to the broker nor to the blobs.
const settings = {
  DEPLOYMENT_ENVIRONMENT: 'local',
  CORE_DATABASE_URL: databases.core.app,
  BILLING_DATABASE_URL: databases.billing.app,
  ANALYTICS_DATABASE_URL: databases.analytics.app,
  CORE_CROSS_TENANT_DATABASE_URL: databases.core.crossTenant,
  BILLING_CROSS_TENANT_DATABASE_URL: databases.billing.crossTenant,
  ANALYTICS_CROSS_TENANT_DATABASE_URL: databases.analytics.crossTenant,
  SERVICE_BUS_CONNECTION: 'Endpoint=sb://127.0.0.1;SharedAccessKeyName=none;SharedAccessKey=none',
  BLOB_CONNECTION: 'UseDevelopmentStorage=true',
  API_KEY_PEPPER: randomBytes(32).toString('hex'),
  KEY_ENCRYPTION_KEYS: JSON.stringify({ '1': randomBytes(32).toString('base64') }),
};

async function rowsOf<Body extends z.ZodObject>(declared: Resource<Body>): Promise<z.output<Body>[]> {
  const rows = await core.unsafe(`select ${selectList(declared)} from ${declared.table} t`);
  return rows.map((row) =>
    declared.body.parse(Object.fromEntries(bodyFields(declared).map((field) => [field, row[field]]))),
  );
}

const first = await seedStack({ settings });

test('makes a key for each role of each tenant, and one for the operator', async () => {
  const keys = [first.operator, ...Object.values(first.tenants).flatMap((tenant) => Object.values(tenant))];
  const ids = keys.map((key) => parseApiKey(key)?.keyId);
  const stored = await core`select key_id, tenant_id, key_name from api_keys`;
  expect(stored.map((row) => row['key_id'] as string).sort()).toEqual(ids.sort());
  expect(stored.map((row) => `${row['tenant_id']}/${row['key_name']}`).sort()).toEqual([
    'acme/owner',
    'acme/reader',
    'acme/writer',
    'globex/owner',
    'globex/reader',
    'globex/writer',
    'platform/operator',
  ]);
  const plans = await billing`select tenant_id, plan_id from user_subscriptions where status = 'active'`;
  expect([...plans]).toEqual([{ tenant_id: 'acme', plan_id: 'professional' }]);
});

test('seeds rows that the API itself would accept', async () => {
  const plans = await rowsOf(routingPlans);
  expect(plans.map((plan) => [plan.plan_name, checkRoutingPlan(plan)])).toEqual([['default', []]]);
  const templates = await rowsOf(analysisTemplates);
  expect(templates.map((row) => checkTemplate(row.template_content, row.variables))).toEqual([[]]);
  const detectors = (await rowsOf(detectorConfigs)).map((row) => row.detector_name);
  expect(detectors).toEqual(expect.arrayContaining(plans.flatMap((plan) => plan.primary_detectors)));
  const labels = new Set((await rowsOf(taxonomyLabels)).map((row) => row.label));
  expect(labels.size).toBe(50);
  const mappings = await rowsOf(complianceMappings);
  expect(mappings.filter((mapping) => !labels.has(mapping.taxonomy_label))).toEqual([]);
});

test('changes no existing row when it runs again after a crash', async () => {
  const count = () => core`select (select count(*)::int from taxonomy_labels) as labels,
    (select count(*)::int from compliance_mappings) as mappings, (select count(*)::int from routing_plans) as plans,
    (select count(*)::int from analysis_templates) as templates, (select count(*)::int from tenants) as tenants,
    (select count(*)::int from ops.data_keys) as data_keys`;
  const [before] = await count();
  const second = await seedStack({ settings });
  const [after] = await count();
  expect(after).toEqual(before);
  expect(second.operator).not.toBe(first.operator);
});
