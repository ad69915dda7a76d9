import { PERMISSION_SETS, type Access } from '../../shared/platform/auth/permissions.ts';
import { newId } from '../../shared/platform/ids/ids.ts';
import {
  operationOf,
  operatorVerbsOf,
  writePermissionOf,
  type Resource,
  type ResourceScope,
  type Verb,
} from '../../shared/platform/resources/resource.ts';
import { declaredResources } from '../../functions/declared-resources.ts';
import { RETURN_ORIGIN } from '../harness/billing-app.ts';
import { templateOf, type RowMaker } from '../harness/row-maker.ts';

/**
 * The subject of a route. `row`: one of the tenant's rows. `shared`: one of the tenant's rows or a default of the platform.
 * `global`: one row of a table that all may read. `list`, `shared-list`, `global-list`: many of them. `create`: a new row.
 * `self`: a row that each tenant has once. `public`: the same for everybody. `signed`: for whoever has the secret, and so for none.
 * `secret`: the same, with the secret in the body, and a body without it is refused for its shape.
 */
export type Subject =
  | 'row'
  | 'shared'
  | 'global'
  | 'list'
  | 'shared-list'
  | 'global-list'
  | 'create'
  | 'self'
  | 'public'
  | 'signed'
  | 'secret';

/** One route's access rules, written independently of the tested code. */
export interface Route {
  /** The OpenAPI operation. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** The path; each `{}` is an id. */
  readonly path: string;
  readonly collection: string;
  readonly subject: Subject;
  /** Null for a public route. */
  readonly needs: Access | null;
  readonly body?: unknown;
  /** True for a route on which nobody gives or takes what they do not hold; see `GIVEN_ROLE`. */
  readonly givesRole?: boolean;
  /** Makes a different body each time; takes precedence over `body`. */
  readonly freshBody?: (rows: RowMaker) => Promise<unknown>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A version that no row has. An allowed change is refused because of it, so it can be repeated. */
const STALE = { 'if-match': '"999999"' };

/** Nothing listens there, and no name server knows it. */
const ENDPOINT = { url: 'https://receiver.invalid/', event_types: ['payment.failed'] };

const read = (operation: string, collection: string, needs: Access, rest = ''): Route => ({
  operation,
  method: 'GET',
  path: `${collection}/{}${rest}`,
  collection,
  subject: 'row',
  needs,
});
const list = (operation: string, collection: string, needs: Access): Route => ({
  operation,
  method: 'GET',
  path: `${collection}?limit=500`,
  collection,
  subject: 'list',
  needs,
});
const write = (
  operation: string,
  method: Route['method'],
  path: string,
  needs: Access,
  body?: unknown,
): Route => ({
  operation,
  method,
  path,
  collection: path.split('/')[0] ?? '',
  subject: 'row',
  needs,
  body,
});
const create = (operation: string, path: string, needs: Access, body: unknown): Route => ({
  operation,
  method: 'POST',
  path,
  collection: path.split('/')[0] ?? '',
  subject: 'create',
  needs,
  body,
});
const self = (
  operation: string,
  method: Route['method'],
  path: string,
  needs: Access,
  body?: unknown,
): Route => ({ operation, method, path, collection: '', subject: 'self', needs, body, headers: STALE });
const open = (operation: string, path: string): Route => ({
  operation,
  method: 'GET',
  path,
  collection: '',
  subject: 'public',
  needs: null,
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
const ORCHESTRATION = {
  content: 'more',
  content_type: 'text',
  policy_bundle: 'default',
  environment: 'dev',
};
const MAPPING = { detector: 'd', source_data: 's', model_version: 'v' };
const ANALYSIS = { period: PERIOD, metrics: {} };
const PLAN = { plan_id: 'professional', billing_cycle: 'monthly' };
/** A public route that takes a secret. Nobody here has it, and a body without it is refused. */
const secret = (operation: string, path: string): Route => ({
  ...open(operation, path),
  method: 'POST',
  subject: 'secret',
  body: {},
});
const NO_ID = '0190a5f0-0000-7000-8000-000000000001';

/** The role that the requests of {@link Route.givesRole} are about. */
export const GIVEN_ROLE = { name: 'viewer', permissions: PERMISSION_SETS.reader } as const;

const PEOPLE: readonly Route[] = [
  list('users-list', 'users', 'users:read'),
  read('users-read', 'users', 'users:read'),
  read('users-roles-list', 'users', 'users:read', '/roles'),
  {
    ...write('users-roles-assign', 'POST', 'users/{}/roles', 'users:manage', { role_name: GIVEN_ROLE.name }),
    givesRole: true,
  },
  {
    ...write('users-roles-end', 'DELETE', `users/{}/roles/${GIVEN_ROLE.name}`, 'users:manage'),
    collection: 'leavers',
    givesRole: true,
  },
  { ...write('users-remove', 'DELETE', 'users/{}', 'users:manage'), collection: 'leavers', givesRole: true },
  {
    ...write('users-erasure-request', 'POST', 'users/{}/erasure', 'users:manage', {}),
    collection: 'subjects',
    givesRole: true,
  },
  { ...read('users-erasure-read', 'users', 'users:read', '/erasure'), collection: 'erased' },
  {
    ...create('invitations-create', 'invitations', 'users:manage', undefined),
    freshBody: () => Promise.resolve({ email: `${newId()}@example.com`, roles: [GIVEN_ROLE.name] }),
    givesRole: true,
  },
  list('invitations-list', 'invitations', 'users:read'),
  read('invitations-read', 'invitations', 'users:read'),
  { ...write('invitations-resend', 'POST', 'invitations/{}/resend', 'users:manage'), givesRole: true },
  write('invitations-revoke', 'DELETE', 'invitations/{}', 'users:manage'),
  secret('invitations-accept', 'v1/invitations/accept'),
  { ...list('roles-list', 'roles', 'users:read'), subject: 'shared-list' },
  { ...read('roles-read', 'roles', 'users:read'), subject: 'shared' },
  // Only the permission to make a role: nobody puts into a role what they do not hold.
  create('roles-create', 'roles', 'roles:manage', { role_name: 'made', permissions: ['roles:manage'] }),
  {
    ...write('roles-replace', 'PUT', 'roles/{}', 'roles:manage', { permissions: ['roles:manage'] }),
    subject: 'shared',
    headers: STALE,
  },
  { ...write('roles-delete', 'DELETE', 'roles/{}', 'roles:manage'), subject: 'shared', headers: STALE },
  self('platform-users-list', 'GET', 'platform/users', 'platform:operate'),
  self('platform-users-read', 'GET', `platform/users/${NO_ID}`, 'platform:operate'),
  self('platform-users-deactivate', 'POST', `platform/users/${NO_ID}/deactivate`, 'platform:operate'),
  self('platform-users-reactivate', 'POST', `platform/users/${NO_ID}/reactivate`, 'platform:operate'),
  self('platform-users-unlock', 'POST', `platform/users/${NO_ID}/unlock`, 'platform:operate'),
];

/** The routes beyond those of declared resources, with their permissions. */
const OTHERS: readonly Route[] = [
  ...PEOPLE,
  read('orchestrations-read', 'orchestrations', 'orchestrations:read'),
  list('orchestrations-list', 'orchestrations', 'orchestrations:read'),
  read('async-orchestrations-read', 'jobs', 'orchestrations:read'),
  write('async-orchestrations-cancel', 'POST', 'jobs/{}/cancel', 'orchestrations:write'),
  write('orchestrations-results-add', 'POST', 'orchestrations/{}/detector-results', 'orchestrations:write', {
    results: [{ detector: 'regex-pii', status: 'success', processing_time_ms: 1 }],
  }),
  write('orchestrations-respond', 'PUT', 'orchestrations/{}/response', 'orchestrations:write', {
    total_processing_time_ms: 1,
  }),
  create('orchestrations-create', 'orchestrations', 'orchestrations:write', ORCHESTRATION),
  create('orchestrations-batch-create', 'orchestrations/batch', 'orchestrations:write', {
    items: [ORCHESTRATION],
  }),
  read('mappings-read', 'mappings', 'mappings:read'),
  list('mappings-list', 'mappings', 'mappings:read'),
  write('mappings-respond', 'PUT', 'mappings/{}/response', 'mappings:write', MAPPER_RESPONSE),
  write('mappings-review', 'POST', 'mappings/{}/review', 'mappings:review', { decision: 'rejected' }),
  create('mappings-create', 'mappings', 'mappings:write', MAPPING),
  create('mappings-batch-create', 'mappings/batch', 'mappings:write', { items: [MAPPING] }),
  read('records-read', 'records', 'records:read'),
  list('records-list', 'records', 'records:read'),
  read('records-read-source', 'records', 'records:read_source', '/source'),
  read('analyses-read', 'analyses', 'analyses:read'),
  list('analyses-list', 'analyses', 'analyses:read'),
  write('analyses-respond', 'PUT', 'analyses/{}/response', 'analyses:write', ANALYST_RESPONSE),
  write('analyses-fall-back', 'POST', 'analyses/{}/fallback', 'analyses:write', {}),
  create('analyses-create', 'analyses', 'analyses:write', ANALYSIS),
  create('analyses-batch-create', 'analyses/batch', 'analyses:write', { items: [ANALYSIS] }),
  create('analysis-metrics-create', 'analysis-metrics', 'metrics:write', {
    metrics: [{ metric_name: 'm', metric_value: 1, time_period: PERIOD.start }],
  }),
  list('analysis-metrics-list', 'analysis-metrics', 'metrics:read'),
  ...(['orchestration', 'mapping', 'record', 'analysis'] as const).map((kind) => ({
    ...read('lineage-read', kind === 'analysis' ? 'analyses' : `${kind}s`, 'lineage:read'),
    path: `lineage/${kind}/{}`,
  })),
  read('audit-logs-read', 'audit-logs', 'audit:read'),
  list('audit-logs-list', 'audit-logs', 'audit:read'),
  write('alerts-acknowledge', 'POST', 'alerts/{}/acknowledge', 'alerts:manage'),
  write('alerts-resolve', 'POST', 'alerts/{}/resolve', 'alerts:manage'),
  write('legal-holds-release', 'POST', 'legal-holds/{}/release', 'retention:write'),
  {
    ...write('model-versions-activate', 'POST', 'model-versions/{}/activate', 'platform:operate'),
    subject: 'global',
  },
  {
    ...read('models-read-version', 'models', 'config:read', '/versions/{}'),
    subject: 'global',
  },
  list('api-keys-list', 'api-keys', 'api_keys:read'),
  write('api-keys-rotate', 'POST', 'api-keys/{}/rotate', 'api_keys:manage', {}),
  write('api-keys-adopt', 'POST', 'api-keys/{}/adopt', 'api_keys:manage'),
  write('api-keys-revoke', 'DELETE', 'api-keys/{}', 'api_keys:manage'),
  // Only the permission to make a key: a key cannot give more than its own permissions.
  create('api-keys-create', 'api-keys', 'api_keys:manage', {
    key_name: 'made',
    permissions: ['api_keys:manage'],
  }),
  secret('auth-sessions-create', 'v1/auth/sessions'),
  secret('auth-password-resets-create', 'v1/auth/password-resets'),
  secret('auth-password-resets-confirm', 'v1/auth/password-resets/confirm'),
  secret('auth-email-verifications-create', 'v1/auth/email-verifications'),
  secret('auth-email-verifications-confirm', 'v1/auth/email-verifications/confirm'),
  self('auth-sessions-end', 'DELETE', 'auth/sessions/current', 'person'),
  self('auth-totp-begin', 'POST', 'auth/totp', 'person', { password: 'p' }),
  self('auth-totp-confirm', 'POST', 'auth/totp/confirm', 'person', { code: '000000' }),
  self('auth-recovery-codes-replace', 'POST', 'auth/totp/recovery-codes', 'person', { password: 'p' }),
  self('auth-totp-remove', 'DELETE', 'auth/totp', 'person', { password: 'p' }),
  self('me-read', 'GET', 'me', 'authenticated'),
  self('me-replace', 'PUT', 'me', 'person', { first_name: 'a', last_name: null }),
  self('me-password-replace', 'PUT', 'me/password', 'person', {
    current_password: 'p',
    new_password: 'a long new password',
  }),
  self('me-sessions-list', 'GET', 'me/sessions', 'person'),
  self('me-sessions-end-others', 'DELETE', 'me/sessions', 'person'),
  self('me-sessions-end', 'DELETE', 'me/sessions/aaaaaaaaaaaaaaaaaaaa', 'person'),
  read('user-sessions-list', 'users', 'users:read', '/sessions'),
  write('user-sessions-end-all', 'DELETE', 'users/{}/sessions', 'users:manage'),
  {
    ...write('user-sessions-end', 'DELETE', 'users/{}/sessions/{}', 'users:manage'),
    collection: 'users/sessions',
  },
  list('webhook-endpoints-list', 'webhook-endpoints', 'webhooks:read'),
  read('webhook-endpoints-read', 'webhook-endpoints', 'webhooks:read'),
  {
    ...write('webhook-endpoints-replace', 'PUT', 'webhook-endpoints/{}', 'webhooks:manage', ENDPOINT),
    headers: STALE,
  },
  {
    ...write('webhook-endpoints-delete', 'DELETE', 'webhook-endpoints/{}', 'webhooks:manage'),
    headers: STALE,
  },
  write('webhook-endpoints-rotate-secret', 'POST', 'webhook-endpoints/{}/rotate-secret', 'webhooks:manage'),
  write('webhook-endpoints-test', 'POST', 'webhook-endpoints/{}/test', 'webhooks:manage'),
  create('webhook-endpoints-create', 'webhook-endpoints', 'webhooks:manage', ENDPOINT),
  list('webhook-deliveries-list', 'webhook-deliveries', 'webhooks:read'),
  read('webhook-deliveries-read', 'webhook-deliveries', 'webhooks:read'),
  write('webhook-deliveries-replay', 'POST', 'webhook-deliveries/{}/replay', 'webhooks:manage'),
  self('tenant-config-read', 'GET', 'tenant-config', 'config:read'),
  self('tenant-config-replace', 'PUT', 'tenant-config', 'tenant_config:write', { config_data: {} }),
  self('usage-read', 'GET', 'usage', 'usage:read'),
  self('promotional-codes-validate', 'POST', 'billing/promotional-codes/validate', 'billing:read', {
    code: 'SPRING',
    plan_id: 'starter',
  }),
  self('billing-subscription-read', 'GET', 'billing/subscription', 'billing:read'),
  self('billing-subscription-cancel', 'POST', 'billing/subscription/cancel', 'billing:manage', {
    at: 'period_end',
  }),
  self('billing-subscription-resume', 'POST', 'billing/subscription/resume', 'billing:manage'),
  self('billing-subscription-change', 'POST', 'billing/subscription/change', 'billing:manage', PLAN),
  self(
    'billing-subscription-change-preview',
    'POST',
    'billing/subscription/change/preview',
    'billing:read',
    PLAN,
  ),
  self('billing-checkout-sessions-create', 'POST', 'billing/checkout-sessions', 'billing:manage', {
    ...PLAN,
    success_url: RETURN_ORIGIN,
    cancel_url: RETURN_ORIGIN,
  }),
  self('billing-portal-sessions-create', 'POST', 'billing/portal-sessions', 'billing:manage', {
    return_url: RETURN_ORIGIN,
  }),
  self('billing-upcoming-invoice-read', 'GET', 'billing/upcoming-invoice', 'billing:read'),
  list('billing-invoices-list', 'billing/invoices', 'billing:read'),
  read('billing-invoices-read', 'billing/invoices', 'billing:read'),
  list('billing-payments-list', 'billing/payments', 'billing:read'),
  list('billing-payment-methods-list', 'billing/payment-methods', 'billing:read'),
  list('data-keys-list', 'data-keys', 'audit:read'),
  self('data-keys-rotate', 'POST', 'data-keys/rotate', 'data_keys:rotate'),
  self('platform-data-keys-list', 'GET', 'platform/tenants/globex/data-keys', 'platform:operate'),
  self('platform-data-keys-rotate', 'POST', 'platform/tenants/globex/data-keys/rotate', 'platform:operate'),
  self('platform-legal-holds-create', 'POST', 'platform/tenants/globex/legal-holds', 'platform:operate', {}),
  self('platform-legal-holds-list', 'GET', 'platform/tenants/globex/legal-holds', 'platform:operate'),
  self(
    'platform-legal-holds-read',
    'GET',
    `platform/tenants/globex/legal-holds/${NO_ID}`,
    'platform:operate',
  ),
  self(
    'platform-legal-holds-release',
    'POST',
    `platform/tenants/globex/legal-holds/${NO_ID}/release`,
    'platform:operate',
  ),
  self('platform-keys-read', 'GET', 'platform/keys', 'platform:operate'),
  self('platform-tenants-create', 'POST', 'platform/tenants', 'platform:operate', {}),
  self('platform-tenants-list', 'GET', 'platform/tenants', 'platform:operate'),
  self('platform-tenants-read', 'GET', 'platform/tenants/globex', 'platform:operate'),
  self('platform-tenants-suspend', 'POST', 'platform/tenants/globex/suspend', 'platform:operate', {}),
  self('platform-tenants-reactivate', 'POST', 'platform/tenants/globex/reactivate', 'platform:operate'),
  self(
    'platform-tenants-offboarding-create',
    'POST',
    'platform/tenants/globex/offboarding',
    'platform:operate',
    {},
  ),
  self(
    'platform-tenants-offboarding-undo',
    'POST',
    'platform/tenants/globex/offboarding/undo',
    'platform:operate',
  ),
  self('tenant-read', 'GET', 'tenant', 'config:read'),
  // Not its id, so that the tenant stays.
  self('tenant-offboarding-create', 'POST', 'tenant/offboarding', 'tenant:offboard', { confirm: 'nobody' }),
  self('tenant-offboarding-undo', 'POST', 'tenant/offboarding/undo', 'tenant:offboard'),
  self('tenant-exports-create', 'POST', 'tenant/exports', 'tenant:export'),
  list('tenant-exports-list', 'tenant/exports', 'tenant:export'),
  read('tenant-exports-read', 'tenant/exports', 'tenant:export'),
  self('platform-tenant-erasure-request', 'POST', 'platform/tenants/globex/erasure', 'platform:operate', {}),
  self('platform-tenant-erasure-read', 'GET', 'platform/tenants/globex/erasure', 'platform:operate'),
  self(
    'platform-person-erasure-read',
    'GET',
    `platform/tenants/globex/users/${NO_ID}/erasure`,
    'platform:operate',
  ),
  self('platform-health-history-list', 'GET', 'platform/health/history', 'platform:operate'),
  self('platform-meter-windows-list', 'GET', 'platform/billing/meter-windows', 'platform:operate'),
  self('platform-quarantine-list', 'GET', 'platform/quarantine', 'platform:operate'),
  self('platform-quarantine-read', 'GET', `platform/quarantine/${NO_ID}`, 'platform:operate'),
  self('platform-quarantine-replay', 'POST', `platform/quarantine/${NO_ID}/replay`, 'platform:operate'),
  self('platform-quarantine-discard', 'POST', `platform/quarantine/${NO_ID}/discard`, 'platform:operate'),
  self('platform-metrics-read', 'GET', 'platform/metrics', 'platform:operate'),
  self('platform-jobs-list', 'GET', 'platform/jobs', 'platform:operate'),
  self('platform-job-runs-list', 'GET', 'platform/jobs/outbox-relay/runs', 'platform:operate'),
  self('platform-job-runs-create', 'POST', 'platform/jobs/outbox-relay/runs', 'platform:operate', {}),
  open('billing-plans-list', 'v1/billing/plans'),
  self('platform-billing-events-list', 'GET', 'platform/billing/events', 'platform:operate'),
  self('platform-billing-events-read', 'GET', 'platform/billing/events/evt_1', 'platform:operate'),
  self('platform-billing-events-replay', 'POST', 'platform/billing/events/evt_1/replay', 'platform:operate'),
  self('platform-billing-mismatches-list', 'GET', 'platform/billing/mismatches', 'platform:operate'),
  { ...open('stripe-webhook', 'v1/webhooks/stripe'), method: 'POST', subject: 'signed', body: {} },
  open('health-live', 'health/live'),
  open('health-ready', 'health/ready'),
  open('status-read', 'v1/status'),
  open('openapi-read', 'openapi.json'),
  open('docs-read', 'docs'),
  open('docs-script-read', 'docs/scalar.js'),
];

const SUBJECTS: Readonly<Record<ResourceScope, { one: Subject; many: Subject }>> = {
  tenant: { one: 'row', many: 'list' },
  shared: { one: 'shared', many: 'shared-list' },
  platform: { one: 'global', many: 'global-list' },
};

/**
 * A declared resource's routes. Below a parent, a list and a new row have the parent's row as their subject. Operators' routes
 * are closed to every tenant.
 */
export function routesOf(resource: Resource): Route[] {
  const collection = templateOf(resource);
  const parent = resource.parent?.resource;
  const { one, many } = SUBJECTS[resource.scope];
  const ofParent = parent === undefined ? undefined : SUBJECTS[parent.scope].one;
  const subjects: Readonly<Record<Verb, Subject>> = {
    create: ofParent ?? 'create',
    list: ofParent ?? many,
    read: one,
    replace: one,
    delete: one,
    deactivate: one,
  };
  const isRead = (verb: Verb): boolean => verb === 'list' || verb === 'read';
  return [
    ...resource.verbs.map((verb) => ({
      ...shapeOf(resource, verb, collection),
      operation: operationOf(resource, verb),
      collection,
      subject: subjects[verb],
      needs: isRead(verb) ? resource.permissions.read : writePermissionOf(resource),
    })),
    ...operatorVerbsOf(resource).map((verb) => ({
      ...shapeOf(resource, verb, `platform/tenants/globex/${collection}`),
      operation: operationOf(resource, verb, true),
      collection,
      subject: 'self' as const,
      needs: 'platform:operate' as const,
    })),
  ];
}

/** What a verb's route looks like. */
function shapeOf(
  resource: Resource,
  verb: Verb,
  path: string,
): Pick<Route, 'method' | 'path' | 'headers' | 'freshBody'> {
  const sampleBody = async (rows: RowMaker) => (await rows.sample(resource)).body;
  switch (verb) {
    case 'create':
      return { method: 'POST', path, freshBody: sampleBody };
    case 'list':
      return { method: 'GET', path: `${path}?limit=500` };
    case 'read':
      return { method: 'GET', path: `${path}/{}` };
    case 'replace':
      return {
        method: 'PUT',
        path: `${path}/{}`,
        headers: STALE,
        freshBody: async (rows) => {
          const body = Object.entries(await sampleBody(rows));
          return Object.fromEntries(body.filter(([field]) => field !== resource.idColumn));
        },
      };
    case 'delete':
    case 'deactivate':
      return { method: 'DELETE', path: `${path}/{}`, headers: STALE };
    default:
      return verb satisfies never;
  }
}

/** Every route of the app. */
export const ROUTES: readonly Route[] = [...OTHERS, ...declaredResources.flatMap(routesOf)];
