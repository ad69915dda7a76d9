import { randomBytes } from 'node:crypto';
import { openMismatch } from '../../shared/domains/billing/stripe/mismatches.ts';
import { stripeInBackground } from '../../shared/domains/billing/stripe/client.ts';
import { Secret, TOTP } from 'otpauth';
import { hashToken } from '../../shared/platform/auth/session-token.ts';
import { newId, randomToken } from '../../shared/platform/ids/ids.ts';
import { alerts } from '../../shared/domains/alerts/alerts.ts';
import { legalHolds } from '../../shared/domains/retention/legal-holds.ts';
import { modelVersions } from '../../shared/domains/mapping/model-versions.ts';
import {
  isVersioned,
  operationOf,
  operatorVerbsOf,
  type Resource,
  type Verb,
} from '../../shared/platform/resources/resource.ts';
import { declaredResources } from '../../functions/declared-resources.ts';
import { signatureOf, stripeEvent } from './stripe-webhooks.ts';
import { signIn } from './members.ts';
import { makeTestPerson } from './people.ts';
import { operatorsPath, rowMaker, type RowMaker } from './row-maker.ts';
import { until, type TestAnswer, type TestApp } from './app.ts';
import { RETURN_ORIGIN } from './billing-app.ts';
import { checkoutOf, payCheckout, sellPlans } from './billing-tenants.ts';

/** One request of the tour and its answer. */
export interface Stop {
  /** The OpenAPI operation. */
  readonly operation: string;
  /** The request; undefined for rows that the tour's preparations made. */
  readonly path?: string;
  readonly expected: number;
  readonly answer: TestAnswer;
}

const RESPONSE = {
  taxonomy: ['PII.Identifier.SSN'],
  scores: { 'PII.Identifier.SSN': 0.9 },
  confidence: 0.9,
  processing_time_ms: 10,
  model_used: 'mapper-8b',
};
const MAPPING = { detector: 'regex-pii', source_data: 'SSN 123-45-6789', model_version: 'v1' };
const ORCHESTRATION = {
  content: 'what is said',
  content_type: 'text',
  policy_bundle: 'default',
  environment: 'prod',
};
const ANALYSIS = {
  period: { start: '2026-01-01T00:00:00Z', end: '2026-02-01T00:00:00Z' },
  metrics: { findings: 3 },
  response: {
    explanation: 'Three findings.',
    confidence: 0.9,
    processing_time_ms: 10,
    model_used: 'analyst-8b',
  },
};
const { response: _answered, ...PENDING_ANALYSIS } = ANALYSIS;
const RESULTS = [{ detector: 'regex-pii', status: 'success', processing_time_ms: 3, confidence: 1 }];

/**
 * Sends one successful request of every operation of the API, as acme's owner and as an operator, on its own rows. Returns the
 * answers; each must have the operation's documented status. `spell` may change the spelling of the paths.
 */
export async function takeTour(app: TestApp, spell = (path: string) => path): Promise<Stop[]> {
  const stops: Stop[] = [];
  const send = async (
    key: string,
    operation: string,
    expected: number,
    method: string,
    written: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<TestAnswer> => {
    const path = `/api/${spell(written)}`;
    const answer = await app.request(method, path, { key, body, headers });
    stops.push({ operation, path, expected, answer });
    return answer;
  };
  const owner = send.bind(undefined, app.keys.acme.owner);
  const operator = send.bind(undefined, app.keys.operator);
  await tourPublic(send.bind(undefined, ''));
  await tourOrchestrations(owner);
  await tourMappings(app, owner);
  await tourAnalyses(owner);
  const rows = rowMaker(app, 'acme', app.keys.acme.owner, 'tour', (resource, answer) => {
    stops.push({ operation: `${resource.name}-create`, expected: 201, answer });
  });
  await tourResources(declaredResources, rows, (key) => send.bind(undefined, key), operator);
  await tourActions(rows, owner, operator);
  await tourBilling(app, owner);
  await tourPlans(send.bind(undefined, ''), owner);
  await tourKeysAndSettings(owner);
  await tourTenant(owner);
  await tourMembers(app, (key) => send.bind(undefined, key));
  await tourWebhooks(owner);
  await tourTrail(app, owner);
  await tourPeople(app, owner, (key) => send.bind(undefined, key));
  await tourPlatform(app, operator);
  await tourStripeEvents(app, send.bind(undefined, ''), operator);
  return stops;
}

type SendAs = (key: string) => Send;
/** Sends one request of an operation, and notes what is to come of it. */
export type Send = (
  operation: string,
  expected: number,
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<TestAnswer>;

async function tourPublic(send: Send): Promise<void> {
  await send('openapi-read', 200, 'GET', 'openapi.json');
  await send('docs-read', 200, 'GET', 'docs');
  await send('docs-script-read', 200, 'GET', 'docs/scalar.js');
  await send('health-live', 200, 'GET', 'health/live');
  await send('health-ready', 200, 'GET', 'health/ready');
  await send('status-read', 200, 'GET', 'v1/status');
}

async function tourOrchestrations(send: Send): Promise<void> {
  const made = await send('orchestrations-create', 201, 'POST', 'v1/orchestrations', {
    ...ORCHESTRATION,
    processing_mode: 'async',
  });
  const path = `v1/orchestrations/${made.body.request_id}`;
  await send('async-orchestrations-read', 200, 'GET', `v1/jobs/${made.body.job_id}`);
  await send('orchestrations-results-add', 201, 'POST', `${path}/detector-results`, { results: RESULTS });
  const partial = { total_processing_time_ms: 5 };
  await send('orchestrations-respond', 206, 'PUT', `${path}/response`, partial);
  await send('orchestrations-read', 200, 'GET', path);
  await send('orchestrations-list', 200, 'GET', 'v1/orchestrations');
  const batch = { items: [ORCHESTRATION, { ...ORCHESTRATION, content: 7 }] };
  await send('orchestrations-batch-create', 207, 'POST', 'v1/orchestrations/batch', batch);
  const other = await send('orchestrations-create', 201, 'POST', 'v1/orchestrations', {
    ...ORCHESTRATION,
    processing_mode: 'async',
  });
  await send('async-orchestrations-cancel', 200, 'POST', `v1/jobs/${other.body.job_id}/cancel`);
}

async function tourMappings(app: TestApp, send: Send): Promise<void> {
  const made = await send('mappings-create', 201, 'POST', 'v1/mappings', { ...MAPPING, response: RESPONSE });
  const pending = await send('mappings-create', 201, 'POST', 'v1/mappings', MAPPING);
  const path = `v1/mappings/${pending.body.request_id}`;
  await send('mappings-respond', 200, 'PUT', `${path}/response`, RESPONSE);
  const unsure = { ...MAPPING, response: { ...RESPONSE, confidence: 0.1 } };
  const doubted = await send('mappings-create', 201, 'POST', 'v1/mappings', unsure);
  await send('mappings-review', 200, 'POST', `v1/mappings/${doubted.body.request_id}/review`, {
    decision: 'confirmed',
  });
  await send('mappings-read', 200, 'GET', path);
  await send('mappings-list', 200, 'GET', 'v1/mappings');
  const batch = { items: [MAPPING, { ...MAPPING, wrong: true }] };
  await send('mappings-batch-create', 207, 'POST', 'v1/mappings/batch', batch);
  const record = `v1/records/${made.body.record_id}`;
  // Archiving changes the record, but a request with an ETag needs an unchanged one.
  await until(
    () => app.admin.core`select archived_at from storage_records where id = ${made.body.record_id}`,
    ([row]) => row?.['archived_at'] !== null,
  );
  const read = await send('records-read', 200, 'GET', record);
  const etag = read.headers.get('etag') ?? '';
  await send('records-read', 304, 'GET', record, undefined, { 'if-none-match': etag });
  await send('records-list', 200, 'GET', 'v1/records');
  await send('records-read-source', 200, 'GET', `${record}/source`);
  await send('lineage-read', 200, 'GET', `v1/lineage/record/${made.body.record_id}`);
}

async function tourAnalyses(send: Send): Promise<void> {
  await send('analyses-create', 201, 'POST', 'v1/analyses', ANALYSIS);
  const first = await send('analyses-create', 201, 'POST', 'v1/analyses', PENDING_ANALYSIS);
  const path = `v1/analyses/${first.body.request_id}`;
  await send('analyses-respond', 200, 'PUT', `${path}/response`, ANALYSIS.response);
  await send('analyses-read', 200, 'GET', path);
  const second = await send('analyses-create', 201, 'POST', 'v1/analyses', PENDING_ANALYSIS);
  await send('analyses-fall-back', 200, 'POST', `v1/analyses/${second.body.request_id}/fallback`);
  await send('analyses-list', 200, 'GET', 'v1/analyses');
  const batch = { items: [ANALYSIS, {}] };
  await send('analyses-batch-create', 207, 'POST', 'v1/analyses/batch', batch);
  const points = {
    metrics: [{ metric_name: 'findings', metric_value: 3, time_period: '2026-01-01T00:00:00Z' }],
  };
  await send('analysis-metrics-create', 201, 'POST', 'v1/analysis-metrics', points);
  await send('analysis-metrics-list', 200, 'GET', 'v1/analysis-metrics');
  const bucketed = 'v1/analysis-metrics?metric_name=findings&bucket=day&aggregate=sum';
  await send('analysis-metrics-list', 200, 'GET', bucketed);
}

/** The routes of declared resources, on rows of acme made from their samples; `operator` sends what operators may do. */
export async function tourResources(
  resources: readonly Resource[],
  rows: RowMaker,
  sendAs: SendAs,
  operator: Send,
): Promise<void> {
  for (const resource of resources) {
    await tourResource(rows, resource, sendAs(rows.keyFor(resource)), false);
    await tourResource(rows, resource, operator, true);
  }
}

async function tourResource(
  rows: RowMaker,
  resource: Resource,
  send: Send,
  forOperators: boolean,
): Promise<void> {
  const { idColumn } = resource;
  const verbs = forOperators ? operatorVerbsOf(resource) : resource.verbs;
  if (verbs.length === 0) return;
  const pathOf = (path: string): string => below(forOperators ? operatorsPath(path, 'acme') : path);
  const nameOf = (verb: Verb): string => operationOf(resource, verb, forOperators);
  let row: string;
  if (verbs.includes('create')) {
    const { path, body } = await rows.sample(resource);
    const made = await send(nameOf('create'), 201, 'POST', pathOf(path), body);
    row = `${pathOf(path)}/${made.body[idColumn]}`;
  } else {
    row = pathOf((await rows.make(resource)).path);
  }
  const collection = row.slice(0, row.lastIndexOf('/'));
  if (verbs.includes('list')) await send(nameOf('list'), 200, 'GET', collection);
  if (verbs.includes('read')) {
    const read = await send(nameOf('read'), 200, 'GET', row);
    const seen = { 'if-none-match': read.body.etag };
    if (isVersioned(resource)) await send(nameOf('read'), 304, 'GET', row, undefined, seen);
  }
  if (verbs.includes('replace')) {
    const { [idColumn]: _chosen, ...body } = (await rows.sample(resource)).body;
    await send(nameOf('replace'), 200, 'PUT', row, body, { 'if-match': '*' });
  }
  for (const verb of ['delete', 'deactivate'] as const)
    if (verbs.includes(verb)) await send(nameOf(verb), 204, 'DELETE', row);
}

/** A path without `/api/`, as in the tour. */
function below(path: string): string {
  return path.slice('/api/'.length);
}

/** The routes of model versions, legal holds and alerts beyond those of their resources. */
async function tourActions(rows: RowMaker, owner: Send, operator: Send): Promise<void> {
  const model = await rows.make(modelVersions);
  const byName = `v1/models/${String(model.row['model_name'])}/versions/${String(model.row['version'])}`;
  await owner('models-read-version', 200, 'GET', byName);
  await operator('model-versions-activate', 200, 'POST', `${below(model.path)}/activate`);
  const hold = await rows.make(legalHolds);
  await owner('legal-holds-release', 200, 'POST', `${below(hold.path)}/release`);
  const alert = below((await rows.make(alerts)).path);
  await owner('alerts-acknowledge', 200, 'POST', `${alert}/acknowledge`);
  await owner('alerts-resolve', 200, 'POST', `${alert}/resolve`);
}

/** The routes of people, of the roles that they have, and of the keys that they answer for. */
async function tourMembers(app: TestApp, sendAs: SendAs): Promise<void> {
  const [owner, operator] = [sendAs(app.keys.acme.owner), sendAs(app.keys.operator)];
  const role = { role_name: 'toured', permissions: ['records:read'] };
  const made = await owner('roles-create', 201, 'POST', 'v1/roles', role);
  await owner('roles-list', 200, 'GET', 'v1/roles');
  const seen = { 'if-none-match': made.body.etag };
  await owner('roles-read', 200, 'GET', 'v1/roles/toured');
  await owner('roles-read', 304, 'GET', 'v1/roles/toured', undefined, seen);
  const match = { 'if-match': '*' };
  await owner('roles-replace', 200, 'PUT', 'v1/roles/toured', { permissions: role.permissions }, match);
  const person = await signIn(app, 'acme', { admin: null });
  const member = await signIn(app, 'acme', { viewer: null });
  const path = `v1/users/${member.userId}`;
  await owner('users-list', 200, 'GET', 'v1/users');
  await owner('users-read', 200, 'GET', path);
  const toured = { role_name: 'toured' };
  await owner('users-roles-assign', 201, 'POST', `${path}/roles`, toured);
  await owner('users-roles-assign', 200, 'POST', `${path}/roles`, toured);
  await owner('users-roles-list', 200, 'GET', `${path}/roles`);
  await owner('users-roles-end', 204, 'DELETE', `${path}/roles/toured`);
  await owner('roles-delete', 204, 'DELETE', 'v1/roles/toured', undefined, match);
  const key = { key_name: 'toured', permission_set: 'reader' };
  await tourInvitations(app, owner, sendAs(''));
  const account = `v1/platform/users/${member.userId}`;
  await operator('platform-users-list', 200, 'GET', 'v1/platform/users');
  await operator('platform-users-read', 200, 'GET', account);
  await operator('platform-users-deactivate', 200, 'POST', `${account}/deactivate`);
  await operator('platform-users-reactivate', 200, 'POST', `${account}/reactivate`);
  await operator('platform-users-unlock', 200, 'POST', `${account}/unlock`);
  await owner('users-remove', 204, 'DELETE', path);
  await owner('users-erasure-request', 202, 'POST', `${path}/erasure`, {});
  await owner('users-erasure-read', 200, 'GET', `${path}/erasure`);
  await operator(
    'platform-person-erasure-read',
    200,
    'GET',
    `v1/platform/tenants/acme/${path.slice(3)}/erasure`,
  );
  const other = await signIn(app, 'acme', { admin: null });
  const held = await sendAs(other.token)('api-keys-create', 201, 'POST', 'v1/api-keys', key);
  await sendAs(person.token)('api-keys-adopt', 200, 'POST', `v1/api-keys/${held.body.key_id}/adopt`);
}

async function tourInvitations(app: TestApp, owner: Send, visitor: Send): Promise<void> {
  const path = 'v1/invitations';
  const guest = { email: 'guest@example.com', roles: ['viewer'] };
  const made = await owner('invitations-create', 201, 'POST', path, guest);
  const one = `${path}/${made.body.invitation_id}`;
  await owner('invitations-list', 200, 'GET', path);
  await owner('invitations-read', 200, 'GET', one);
  await owner('invitations-resend', 200, 'POST', `${one}/resend`);
  // The token is only in a mail: here it is replaced by a known one.
  const token = `inv_${randomBytes(20).toString('hex')}`;
  await app.admin
    .core`update ops.invitations set token_hash = ${hashToken(token)} where invitation_id = ${made.body.invitation_id}`;
  const answer = { token, password: 'a river under nine bridges', first_name: 'G', last_name: 'Uest' };
  await visitor('invitations-accept', 200, 'POST', `${path}/accept`, answer);
  const second = await owner('invitations-create', 201, 'POST', path, { ...guest, email: 'two@example.com' });
  await owner('invitations-revoke', 204, 'DELETE', `${path}/${second.body.invitation_id}`);
}

async function tourKeysAndSettings(send: Send): Promise<void> {
  const made = await send('api-keys-create', 201, 'POST', 'v1/api-keys', {
    key_name: 'tour',
    permission_set: 'reader',
  });
  await send('api-keys-list', 200, 'GET', 'v1/api-keys');
  await send('api-keys-rotate', 201, 'POST', `v1/api-keys/${made.body.key_id}/rotate`);
  await send('api-keys-revoke', 204, 'DELETE', `v1/api-keys/${made.body.key_id}`);
  const settings = await send('tenant-config-read', 200, 'GET', 'v1/tenant-config');
  const replaced = { config_data: { ...settings.body.config_data, frameworks: ['SOC2'] } };
  const match = { 'if-match': settings.body.etag };
  await send('tenant-config-replace', 200, 'PUT', 'v1/tenant-config', replaced, match);
  await send('usage-read', 200, 'GET', 'v1/usage');
  await send('data-keys-rotate', 201, 'POST', 'v1/data-keys/rotate');
  await send('data-keys-list', 200, 'GET', 'v1/data-keys');
}

async function tourWebhooks(send: Send): Promise<void> {
  const endpoint = { url: 'https://receiver.invalid/hooks', event_types: ['mapping.needs_review'] };
  const made = await send('webhook-endpoints-create', 201, 'POST', 'v1/webhook-endpoints', endpoint);
  const path = `v1/webhook-endpoints/${made.body.endpoint_id}`;
  await send('webhook-endpoints-list', 200, 'GET', 'v1/webhook-endpoints');
  await send('webhook-endpoints-read', 200, 'GET', path);
  const rotated = await send('webhook-endpoints-rotate-secret', 200, 'POST', `${path}/rotate-secret`);
  const match = { 'if-match': rotated.body.etag };
  await send('webhook-endpoints-replace', 200, 'PUT', path, { ...endpoint, description: 'a tour' }, match);
  const tested = await send('webhook-endpoints-test', 202, 'POST', `${path}/test`);
  const delivery = `v1/webhook-deliveries/${tested.body.delivery_id}`;
  await send('webhook-deliveries-list', 200, 'GET', 'v1/webhook-deliveries');
  await send('webhook-deliveries-read', 200, 'GET', delivery);
  await send('webhook-deliveries-replay', 202, 'POST', `${delivery}/replay`);
  await send('webhook-endpoints-delete', 204, 'DELETE', path);
}

/** The routes of acme's subscription, from the checkout on. The app must have a Stripe: see `startBillingApp`. */
async function tourBilling(app: TestApp, send: Send): Promise<void> {
  const scene = { app, stripe: { stripe: await stripeInBackground(app.settings) } };
  await sellPlans(scene);
  const opened = await send(
    'billing-checkout-sessions-create',
    201,
    'POST',
    'v1/billing/checkout-sessions',
    checkoutOf('starter'),
  );
  await payCheckout(scene, { id: 'acme' }, opened.body.url);
  const home = { return_url: `${RETURN_ORIGIN}/account` };
  await send('billing-portal-sessions-create', 201, 'POST', 'v1/billing/portal-sessions', home);
  const path = 'v1/billing/subscription';
  await send('billing-subscription-read', 200, 'GET', path);
  const wanted = { plan_id: 'professional', billing_cycle: 'monthly' };
  await send('billing-subscription-change-preview', 200, 'POST', `${path}/change/preview`, wanted);
  await send('billing-subscription-change', 200, 'POST', `${path}/change`, wanted);
  await send('billing-subscription-cancel', 200, 'POST', `${path}/cancel`, { at: 'period_end' });
  await send('billing-subscription-resume', 200, 'POST', `${path}/resume`);
  await send('billing-upcoming-invoice-read', 200, 'GET', 'v1/billing/upcoming-invoice');
  const invoices = await send('billing-invoices-list', 200, 'GET', 'v1/billing/invoices');
  const invoice = `v1/billing/invoices/${invoices.body.items[0].invoice_id}`;
  await send('billing-invoices-read', 200, 'GET', invoice);
  await send('billing-payments-list', 200, 'GET', 'v1/billing/payments');
  await send('billing-payment-methods-list', 200, 'GET', 'v1/billing/payment-methods');
}

async function tourPlans(visitor: Send, owner: Send): Promise<void> {
  const plans = await visitor('billing-plans-list', 200, 'GET', 'v1/billing/plans');
  const seen = { 'if-none-match': plans.headers.get('etag') ?? '' };
  await visitor('billing-plans-list', 304, 'GET', 'v1/billing/plans', undefined, seen);
  const code = { code: 'no-such-code', plan_id: 'starter' };
  await owner('promotional-codes-validate', 200, 'POST', 'v1/billing/promotional-codes/validate', code);
}

/** The tenant's export, and its leaving, which it undoes. */
async function tourTenant(send: Send): Promise<void> {
  const { body } = await send('tenant-read', 200, 'GET', 'v1/tenant');
  const made = await send('tenant-exports-create', 201, 'POST', 'v1/tenant/exports');
  await send('tenant-exports-list', 200, 'GET', 'v1/tenant/exports');
  await send('tenant-exports-read', 200, 'GET', `v1/tenant/exports/${made.body.export_id}`);
  const leave = { confirm: body.tenant_id };
  await send('tenant-offboarding-create', 200, 'POST', 'v1/tenant/offboarding', leave);
  await send('tenant-offboarding-undo', 200, 'POST', 'v1/tenant/offboarding/undo');
}

/** A person of acme signs in, sets up a second factor, gets a new password, and signs out. */
async function tourPeople(app: TestApp, owner: Send, sendAs: SendAs): Promise<void> {
  const visitor = sendAs('');
  const { userId, email, password } = await makeTestPerson(app, { acme: 'viewer' });
  const tokenFor = async (purpose: string): Promise<string> => {
    const token = randomToken(40);
    await app.admin.core`insert into ops.user_tokens (token_hash, purpose, user_id, expires_at)
      values (${hashToken(token)}, ${purpose}, ${userId}, now() + interval '1 hour')`;
    return token;
  };
  await visitor('auth-email-verifications-create', 202, 'POST', 'v1/auth/email-verifications', { email });
  await visitor('auth-email-verifications-confirm', 204, 'POST', 'v1/auth/email-verifications/confirm', {
    token: await tokenFor('email_verification'),
  });
  const signIn = (given: object): Promise<TestAnswer> =>
    visitor('auth-sessions-create', 201, 'POST', 'v1/auth/sessions', { email, ...given });
  const first = await signIn({ password });
  const person = sendAs(first.body.token);
  await person('me-read', 200, 'GET', 'v1/me');
  await person('me-replace', 200, 'PUT', 'v1/me', { first_name: 'Jo', last_name: 'Doe' });
  const begun = await person('auth-totp-begin', 200, 'POST', 'v1/auth/totp', { password });
  const code = new TOTP({ secret: Secret.fromBase32(begun.body.secret) }).generate();
  await person('auth-totp-confirm', 200, 'POST', 'v1/auth/totp/confirm', { code });
  await person('auth-recovery-codes-replace', 200, 'POST', 'v1/auth/totp/recovery-codes', { password });
  await person('auth-totp-remove', 204, 'DELETE', 'v1/auth/totp', { password });
  const second = await signIn({ password });
  await person('me-sessions-list', 200, 'GET', 'v1/me/sessions');
  await person('me-sessions-end', 204, 'DELETE', `v1/me/sessions/${second.body.session_id}`);
  await person('me-sessions-end-others', 204, 'DELETE', 'v1/me/sessions');
  const new_password = `${password}, a new one`;
  const change = { current_password: password, new_password };
  await person('me-password-replace', 204, 'PUT', 'v1/me/password', change);
  await person('auth-sessions-end', 204, 'DELETE', 'v1/auth/sessions/current');
  await visitor('auth-password-resets-create', 202, 'POST', 'v1/auth/password-resets', { email });
  await visitor('auth-password-resets-confirm', 204, 'POST', 'v1/auth/password-resets/confirm', {
    token: await tokenFor('password_reset'),
    new_password: password,
  });
  const last = await signIn({ password });
  const path = `v1/users/${userId}/sessions`;
  await owner('user-sessions-list', 200, 'GET', path);
  await owner('user-sessions-end', 204, 'DELETE', `${path}/${last.body.session_id}`);
  await owner('user-sessions-end-all', 204, 'DELETE', path);
}

async function tourTrail(app: TestApp, send: Send): Promise<void> {
  const { items } = await until(
    () => app.request('GET', '/api/v1/audit-logs', { key: app.keys.acme.owner }).then(({ body }) => body),
    (page) => page.items.length > 0,
  );
  await send('audit-logs-list', 200, 'GET', 'v1/audit-logs');
  await send('audit-logs-read', 200, 'GET', `v1/audit-logs/${items[0].id}`);
}

async function tourOperatorsHolds(send: Send, path: string): Promise<void> {
  const body = { name: 'toured', reason: 'a tour', scope: {} };
  const made = await send('platform-legal-holds-create', 201, 'POST', path, body);
  const one = `${path}/${made.body.hold_id}`;
  await send('platform-legal-holds-list', 200, 'GET', path);
  await send('platform-legal-holds-read', 200, 'GET', one);
  const seen = { 'if-none-match': made.body.etag };
  await send('platform-legal-holds-read', 304, 'GET', one, undefined, seen);
  await send('platform-legal-holds-release', 200, 'POST', `${one}/release`);
}

async function tourPlatform(app: TestApp, send: Send): Promise<void> {
  const tenantId = `tour-${newId()}`;
  await app.admin
    .billing`insert into billing_plans (plan_id, plan_name, plan_type) values ('free', 'Free', 'free') on conflict do nothing`;
  await send('platform-tenants-create', 201, 'POST', 'v1/platform/tenants', {
    tenant_id: tenantId,
    name: 'Tour',
  });
  await send('platform-tenants-read', 200, 'GET', `v1/platform/tenants/${tenantId}`);
  await send('platform-tenants-list', 200, 'GET', 'v1/platform/tenants');
  await send('platform-data-keys-rotate', 201, 'POST', `v1/platform/tenants/${tenantId}/data-keys/rotate`);
  await send('platform-data-keys-list', 200, 'GET', `v1/platform/tenants/${tenantId}/data-keys`);
  await send('platform-keys-read', 200, 'GET', 'v1/platform/keys');
  const tenant = `v1/platform/tenants/${tenantId}`;
  await tourOperatorsHolds(send, `${tenant}/legal-holds`);
  await send('platform-tenants-suspend', 200, 'POST', `${tenant}/suspend`, { reason: 'tour' });
  await send('platform-tenants-reactivate', 200, 'POST', `${tenant}/reactivate`);
  await send('platform-tenants-offboarding-create', 200, 'POST', `${tenant}/offboarding`, {
    confirm: tenantId,
  });
  await send('platform-tenants-offboarding-undo', 200, 'POST', `${tenant}/offboarding/undo`);
  await app.admin.core`update tenants set status = 'offboarding' where tenant_id = ${tenantId}`;
  const erasure = `v1/platform/tenants/${tenantId}/erasure`;
  await send('platform-tenant-erasure-request', 202, 'POST', erasure, { early: true, reason: 'a tour' });
  await send('platform-tenant-erasure-read', 200, 'GET', erasure);
  await send('platform-metrics-read', 200, 'GET', 'v1/platform/metrics');
  await send('platform-jobs-list', 200, 'GET', 'v1/platform/jobs');
  await send('platform-job-runs-create', 200, 'POST', 'v1/platform/jobs/outbox-relay/runs', {});
  await send('platform-job-runs-list', 200, 'GET', 'v1/platform/jobs/outbox-relay/runs');
  const [replayed, discarded] = [newId(), newId()];
  for (const id of [replayed, discarded]) {
    await app.admin.core`insert into ops.quarantine (id, queue, identity, reason, body)
      values (${id}, 'audit-events', ${randomBytes(32)}, 'NOT_JSON', ${Buffer.from('no event')})`;
  }
  await send('platform-health-history-list', 200, 'GET', 'v1/platform/health/history');
  await send('platform-meter-windows-list', 200, 'GET', 'v1/platform/billing/meter-windows');
  await send('platform-quarantine-list', 200, 'GET', 'v1/platform/quarantine');
  await send('platform-quarantine-read', 200, 'GET', `v1/platform/quarantine/${replayed}`);
  await send('platform-quarantine-replay', 202, 'POST', `v1/platform/quarantine/${replayed}/replay`, {});
  await send('platform-quarantine-discard', 200, 'POST', `v1/platform/quarantine/${discarded}/discard`, {
    reason: 'a tour',
  });
}

async function tourStripeEvents(app: TestApp, stripe: Send, operator: Send): Promise<void> {
  const [secret = ''] = app.settings.STRIPE_WEBHOOK_SECRETS;
  const event = stripeEvent('price.updated', { id: 'price_tour', object: 'price' });
  await stripe('stripe-webhook', 200, 'POST', 'v1/webhooks/stripe', event, {
    'stripe-signature': signatureOf(JSON.stringify(event), secret),
  });
  const path = 'v1/platform/billing/events';
  await operator('platform-billing-events-list', 200, 'GET', path);
  await operator('platform-billing-events-read', 200, 'GET', `${path}/${event.id}`);
  await operator('platform-billing-events-replay', 202, 'POST', `${path}/${event.id}/replay`);
  await openMismatch(app.services.crossTenant.billing, SEEN_MISMATCH, new Date());
  await operator('platform-billing-mismatches-list', 200, 'GET', 'v1/platform/billing/mismatches');
}

const SEEN_MISMATCH = {
  kind: 'unknown_customer',
  objectType: 'invoice',
  objectId: 'in_tour',
  tenantId: undefined,
  details: { customer: 'cus_tour' },
} as const;
