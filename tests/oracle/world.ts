import type { Permission } from '../../shared/platform/auth/permissions.ts';
import { until, type TestApp } from '../harness/app.ts';

/** Whose rows there are. */
export const OWNERS = ['acme', 'globex'] as const;
export type Owner = (typeof OWNERS)[number];

/** What there is of each kind: ids by collection. */
export type Rows = Readonly<Record<string, readonly string[]>>;

/** The world before the requests begin: each tenant's rows, and the platform's, which all may read. */
export interface World {
  readonly rows: Readonly<Record<Owner | 'platform', Rows>>;
  /** What each of the tenants' spare keys may do, by its id. */
  readonly keyPermissions: ReadonlyMap<string, readonly Permission[]>;
}

/** Rows of each kind that each tenant has. */
const EACH = 3;
/** A spare key's permissions: some principals hold them all, most do not. */
const SPARE_KEYS: readonly (readonly Permission[])[] = [
  ['usage:read'],
  ['config:read', 'mappings:read'],
  ['mappings:write', 'records:read_source'],
];

const RESPONSE = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.9 },
  confidence: 0.9,
  processing_time_ms: 1,
  model_used: 'm',
};

type Create = (collection: string, body: object) => Promise<Record<string, string>>;

/** Makes the world over the API, with each tenant's owner's key and the operator's. */
export async function makeWorld(app: TestApp): Promise<World> {
  const keyPermissions = new Map<string, readonly Permission[]>();
  const rows: Record<Owner | 'platform', Record<string, string[]>> = { acme: {}, globex: {}, platform: {} };
  const creator = (owner: Owner | 'platform', key: string): Create => {
    return async (collection, body) => {
      const answer = await app.request('POST', `/api/v1/${collection}`, { key, body });
      if (answer.status !== 201)
        throw new Error(`${collection} was not made: ${answer.status} ${JSON.stringify(answer.body)}`);
      const { request_id: requestId, id, policy_id: policyId, hold_id: holdId, key_id: keyId } = answer.body;
      (rows[owner][collection] ??= []).push(requestId ?? id ?? policyId ?? holdId ?? keyId);
      if (answer.body.record_id !== undefined) (rows[owner]['records'] ??= []).push(answer.body.record_id);
      if (answer.body.job_id !== undefined) (rows[owner]['jobs'] ??= []).push(answer.body.job_id);
      return answer.body;
    };
  };
  for (const owner of OWNERS) {
    const create = creator(owner, app.keys[owner].owner);
    for (let n = 0; n < EACH; n++) await makeTenantRows(create, n);
    for (const permissions of SPARE_KEYS) {
      const made = await create('api-keys', { key_name: 'spare', permissions });
      keyPermissions.set(made['key_id'] ?? '', permissions);
    }
    const policy = { data_type: 'analyses', retention_days: 400 };
    await create('data-retention-policies', policy);
  }
  // Evidence and orchestrations of the other tenant, named where references are free: they must lead nowhere.
  for (const [owner, other] of [OWNERS, OWNERS.toReversed()] as [Owner, Owner][]) {
    const create = creator(owner, app.keys[owner].owner);
    const theirs = (collection: string): string => rows[other][collection]?.[0] ?? '';
    const evidence = [theirs('mappings'), theirs('records'), theirs('orchestrations')];
    await create('analyses', { ...analysis, evidence_refs: evidence });
    await create('mappings', {
      ...mapping,
      response: RESPONSE,
      orchestration_request_id: theirs('orchestrations'),
    });
  }
  const create = creator('platform', app.keys.operator);
  await create('routing-plans', { plan_name: 'platform-plan' });
  await create('detector-configs', { detector_name: 'platform', detector_type: 'pii', version: '1' });
  await create('taxonomy-labels', { label: 'ORACLE.label', category: 'ORACLE', taxonomy_version: '1' });
  await create('model-versions', { model_name: 'oracle', version: '1', model_path: 'models/oracle' });
  for (const owner of OWNERS) rows[owner]['audit-logs'] = await auditIds(app, app.keys[owner].owner);
  return { rows, keyPermissions };
}

const mapping = { detector: 'regex-pii', source_data: 'SSN 123-45-6789', model_version: 'v1' };
const analysis = {
  period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
  metrics: { findings: 1 },
};

async function makeTenantRows(create: Create, n: number): Promise<void> {
  const orchestration = {
    content: 'what is said',
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'dev',
  };
  await create('orchestrations', { ...orchestration, processing_mode: n === 0 ? 'sync' : 'async' });
  await create('mappings', n === 0 ? mapping : { ...mapping, response: RESPONSE });
  await create('analyses', analysis);
  await create('routing-plans', { plan_name: `plan-${n}` });
  await create('detector-configs', { detector_name: `detector-${n}`, detector_type: 'pii', version: '1' });
  await create('analysis-templates', {
    template_name: `template-${n}`,
    template_type: 'gap_analysis',
    template_content: { explanation: 'none', remediation_steps: [], policy_recommendations: [] },
    version: '1',
  });
  await create('legal-holds', { name: `hold-${n}`, reason: 'a case', scope: { data_types: ['analyses'] } });
}

async function auditIds(app: TestApp, key: string): Promise<string[]> {
  const { body } = await until(
    () => app.request('GET', '/api/v1/audit-logs?limit=500', { key }),
    (answer) => answer.body.items.length >= EACH,
  );
  return body.items.slice(0, EACH).map(({ id }: { id: string }) => id);
}
