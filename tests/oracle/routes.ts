import type { Permission } from '../../shared/platform/auth/permissions.ts';

/**
 * What a route is about. `row`: one row of a collection, the tenant's own. `shared`: one row, the tenant's own or a default
 * of the platform's. `global`: one row of a table that all may read. `list` and `shared-list`: many of them. `create`:
 * a new one. `self`: what there is one of for a tenant.
 */
export type Subject =
  'row' | 'shared' | 'global' | 'list' | 'shared-list' | 'global-list' | 'create' | 'self';

/** One route as the access rules see it, written down apart from the code that is tested. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `{}` is the row's id. */
  readonly path: string;
  readonly collection: string;
  readonly subject: Subject;
  readonly needs: Permission;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const read = (collection: string, needs: Permission, subject: Subject = 'row'): Route => ({
  method: 'GET',
  path: `${collection}/{}`,
  collection,
  subject,
  needs,
});
const list = (collection: string, needs: Permission, subject: Subject = 'list'): Route => ({
  method: 'GET',
  path: `${collection}?limit=500`,
  collection,
  subject,
  needs,
});
const write = (
  method: Route['method'],
  collection: string,
  rest: string,
  needs: Permission,
  body?: unknown,
  subject: Subject = 'row',
): Route => ({
  method,
  path: `${collection}/{}${rest}`,
  collection,
  subject,
  needs,
  body,
  // A version that no row has: a change that is allowed is refused for that, and so repeats for ever.
  ...(method === 'PUT' || method === 'DELETE' ? { headers: { 'if-match': '"999999"' } } : {}),
});
const create = (collection: string, needs: Permission, body: unknown): Route => ({
  method: 'POST',
  path: collection,
  collection,
  subject: 'create',
  needs,
  body,
});

const MAPPER_RESPONSE = {
  taxonomy: ['BIAS.Race'],
  scores: { 'BIAS.Race': 0.5 },
  confidence: 0.5,
  processing_time_ms: 2,
  model_used: 'm',
};
const ANALYST_RESPONSE = { explanation: 'x', confidence: 0.9, processing_time_ms: 2, model_used: 'm' };
const PERIOD = { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' };

/** The routes of tenants, each with the permission that it needs. */
export const ROUTES: readonly Route[] = [
  read('orchestrations', 'orchestrations:read'),
  list('orchestrations', 'orchestrations:read'),
  read('jobs', 'orchestrations:read'),
  write('POST', 'jobs', '/cancel', 'orchestrations:write'),
  write('POST', 'orchestrations', '/detector-results', 'orchestrations:write', {
    results: [{ detector: 'regex-pii', status: 'success', processing_time_ms: 1 }],
  }),
  write('PUT', 'orchestrations', '/response', 'orchestrations:write', { total_processing_time_ms: 1 }),
  create('orchestrations', 'orchestrations:write', {
    content: 'more',
    content_type: 'text',
    policy_bundle: 'default',
    environment: 'dev',
  }),
  read('mappings', 'mappings:read'),
  list('mappings', 'mappings:read'),
  write('PUT', 'mappings', '/response', 'mappings:write', MAPPER_RESPONSE),
  create('mappings', 'mappings:write', { detector: 'd', source_data: 's', model_version: 'v' }),
  read('records', 'records:read'),
  list('records', 'records:read'),
  { ...read('records', 'records:read_source'), path: 'records/{}/source' },
  read('analyses', 'analyses:read'),
  list('analyses', 'analyses:read'),
  write('PUT', 'analyses', '/response', 'analyses:write', ANALYST_RESPONSE),
  write('POST', 'analyses', '/fallback', 'analyses:write', {}),
  create('analyses', 'analyses:write', { period: PERIOD, metrics: {} }),
  create('analysis-metrics', 'metrics:write', {
    metrics: [{ metric_name: 'm', metric_value: 1, time_period: PERIOD.start }],
  }),
  { ...list('analysis-metrics', 'metrics:read'), collection: 'analysis-metrics' },
  ...(['orchestration', 'mapping', 'record', 'analysis'] as const).map((kind) => ({
    ...read(kind === 'analysis' ? 'analyses' : `${kind}s`, 'lineage:read'),
    path: `lineage/${kind}/{}`,
  })),
  read('audit-logs', 'audit:read'),
  list('audit-logs', 'audit:read'),
  ...['routing-plans', 'detector-configs', 'analysis-templates'].flatMap((name) => [
    read(name, 'config:read', 'shared'),
    list(name, 'config:read', 'shared-list'),
    write('DELETE', name, '', 'config:write', undefined, 'shared'),
  ]),
  write('PUT', 'routing-plans', '', 'config:write', { plan_name: 'taken-over' }, 'shared'),
  create('routing-plans', 'config:write', { plan_name: 'fresh' }),
  ...['taxonomy-labels', 'model-versions'].flatMap((name) => [
    read(name, 'config:read', 'global'),
    list(name, 'config:read', 'global-list'),
    write('DELETE', name, '', 'platform:operate', undefined, 'global'),
  ]),
  read('legal-holds', 'retention:read'),
  list('legal-holds', 'retention:read'),
  write('POST', 'legal-holds', '/release', 'retention:write'),
  read('data-retention-policies', 'retention:read'),
  list('data-retention-policies', 'retention:read'),
  write('DELETE', 'data-retention-policies', '', 'retention:write'),
  list('api-keys', 'api_keys:manage'),
  write('POST', 'api-keys', '/rotate', 'api_keys:manage', {}),
  { method: 'GET', path: 'tenant-config', collection: '', subject: 'self', needs: 'config:read' },
  { method: 'GET', path: 'usage', collection: '', subject: 'self', needs: 'usage:read' },
  { method: 'GET', path: 'platform/tenants', collection: '', subject: 'self', needs: 'platform:operate' },
  { method: 'GET', path: 'platform/quarantine', collection: '', subject: 'self', needs: 'platform:operate' },
];
