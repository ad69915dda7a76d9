import { stripeInBackground } from '../../shared/domains/billing/stripe/client.ts';
import type { Permission } from '../../shared/platform/auth/permissions.ts';
import type { Resource } from '../../shared/platform/resources/resource.ts';
import { until, type TestApp } from '../harness/app.ts';
import { declaredResources } from '../../functions/declared-resources.ts';
import { checkoutOf, payCheckout, sellPlans, type BillingScene } from '../harness/billing-tenants.ts';
import { signIn } from '../harness/members.ts';
import { openPersonsSession } from '../harness/people.ts';
import { rowMaker, templateOf } from '../harness/row-maker.ts';
import { GIVEN_ROLE } from './routes.ts';

/** The owners of rows. */
export const OWNERS = ['acme', 'globex'] as const;
export type Owner = (typeof OWNERS)[number];

/** Rows by collection: for each row the ids in its path, its own id last. */
export type Rows = Readonly<Record<string, readonly (readonly string[])[]>>;

/** The data before the requests: each tenant's rows, and the platform's, which all may read. */
export interface World {
  readonly rows: Readonly<Record<Owner | 'platform', Rows>>;
  /** The permissions of the tenants' spare keys, by key id. */
  readonly keyPermissions: ReadonlyMap<string, readonly Permission[]>;
}

/** Rows of each kind that each tenant has. */
const EACH = 3;
/** The permissions of spare keys. Some principals have all of them, most do not. */
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

/** Makes the data over the API, with each tenant's owner key and the operator's key. */
export async function makeWorld(app: TestApp): Promise<World> {
  const keyPermissions = new Map<string, readonly Permission[]>();
  const rows: Record<Owner | 'platform', Record<string, string[][]>> = {
    acme: {},
    globex: {},
    platform: {},
  };
  const creator = (owner: Owner | 'platform', key: string): Create => {
    return async (collection, body) => {
      const answer = await app.request('POST', `/api/v1/${collection}`, { key, body });
      if (answer.status !== 201)
        throw new Error(`${collection} was not made: ${answer.status} ${JSON.stringify(answer.body)}`);
      const { request_id: requestId, key_id: keyId, record_id: recordId, job_id: jobId } = answer.body;
      (rows[owner][collection] ??= []).push([requestId ?? keyId]);
      if (recordId !== undefined) (rows[owner]['records'] ??= []).push([recordId]);
      if (jobId !== undefined) (rows[owner]['jobs'] ??= []).push([jobId]);
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
    const exported = await app.request('POST', '/api/v1/tenant/exports', { key: app.keys[owner].owner });
    rows[owner]['tenant/exports'] = [[exported.body.export_id]];
    Object.assign(rows[owner], await makePeople(app, owner));
    await makeMembers(app, owner, rows[owner]);
    const tenants = declaredResources.filter(({ scope }) => scope !== 'platform');
    Object.assign(rows[owner], await makeDeclared(app, tenants, owner, app.keys[owner].owner));
    Object.assign(rows[owner], await makeWebhooks(app, app.keys[owner].owner));
  }
  // References to the other tenant's evidence and orchestrations, where any reference is allowed. They must find nothing.
  for (const [owner, other] of [OWNERS, OWNERS.toReversed()] as [Owner, Owner][]) {
    const create = creator(owner, app.keys[owner].owner);
    const theirs = (collection: string): string => rows[other][collection]?.[0]?.[0] ?? '';
    const evidence = [theirs('mappings'), theirs('records'), theirs('orchestrations')];
    await create('analyses', { ...analysis, evidence_refs: evidence });
    await create('mappings', {
      ...mapping,
      response: RESPONSE,
      orchestration_request_id: theirs('orchestrations'),
    });
  }
  const scene = { app, stripe: { stripe: await stripeInBackground(app.settings) } };
  await sellPlans(scene);
  for (const owner of OWNERS) Object.assign(rows[owner], await makeBilling(scene, owner));
  const platforms = declaredResources.filter(({ scope }) => scope !== 'tenant');
  rows.platform = await makeDeclared(app, platforms, 'platform', app.keys.operator);
  rows.platform['roles'] = ['admin', 'auditor', 'viewer'].map((name) => [name]);
  rows.platform['models'] = await modelNames(app);
  for (const owner of OWNERS) {
    const keys = await app.request('GET', '/api/v1/data-keys', { key: app.keys[owner].owner });
    rows[owner]['data-keys'] = keys.body.items.map(({ key_id: id }: { key_id: string }) => [id]);
  }
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
}

/** Members, of whom those that requests remove are listed apart, invitations, and roles of the tenant's own. */
async function makeMembers(app: TestApp, owner: Owner, rows: Record<string, string[][]>): Promise<void> {
  const make = (path: string, body: object) =>
    app.request('POST', `/api/v1/${path}`, { key: app.keys[owner].owner, body });
  for (let n = 0; n < EACH; n++) {
    for (const collection of ['users', 'leavers', 'subjects'])
      (rows[collection] ??= []).push([(await signIn(app, owner, { [GIVEN_ROLE.name]: null })).userId]);
    const { userId: erased } = await signIn(app, owner, { [GIVEN_ROLE.name]: null });
    await make(`users/${erased}/erasure`, {});
    (rows['erased'] ??= []).push([erased]);
    const invited = await make('invitations', { email: `${n}@example.com`, roles: [GIVEN_ROLE.name] });
    (rows['invitations'] ??= []).push([invited.body.invitation_id]);
    const role = await make('roles', { role_name: `of_${owner}_${n}`, permissions: ['records:read'] });
    (rows['roles'] ??= []).push([role.body.role_name]);
  }
}

/** Makes rows of declared resources: as many as each one's rules allow, up to {@link EACH}. */
async function makeDeclared(
  app: TestApp,
  resources: readonly Resource[],
  owner: string,
  key: string,
): Promise<Record<string, string[][]>> {
  const maker = rowMaker(app, owner, key);
  const rows: Record<string, string[][]> = {};
  for (const resource of resources) {
    const made = [await maker.make(resource)];
    while (made.length < EACH) {
      const row = await maker.tryMake(resource);
      if (row === undefined) break;
      made.push(row);
    }
    rows[templateOf(resource)] = made.map(({ pathIds }) => [...pathIds]);
  }
  return rows;
}

/** People with a session each, by the collections of their rows. */
async function makePeople(app: TestApp, owner: Owner): Promise<Record<string, string[][]>> {
  const sessions: string[][] = [];
  for (let n = 0; n < EACH; n++) {
    const { userId, sessionId } = await openPersonsSession(app, owner, 'viewer');
    sessions.push([userId, sessionId]);
  }
  return { users: sessions.map(([userId = '']) => [userId]), 'users/sessions': sessions };
}

/** An endpoint that nobody answers at, and deliveries to it. */
async function makeWebhooks(app: TestApp, key: string): Promise<Record<string, string[][]>> {
  const body = { url: 'https://receiver.invalid/', event_types: ['payment.failed'] };
  const made = await app.request('POST', '/api/v1/webhook-endpoints', { key, body });
  const id: string = made.body.endpoint_id;
  const deliveries: string[][] = [];
  while (deliveries.length < EACH) {
    const sent = await app.request('POST', `/api/v1/webhook-endpoints/${id}/test`, { key });
    deliveries.push([sent.body.delivery_id]);
  }
  return { 'webhook-endpoints': [[id]], 'webhook-deliveries': deliveries };
}

/** A subscription with its first payment, by the collections of its rows. */
async function makeBilling(scene: BillingScene, owner: Owner): Promise<Record<string, string[][]>> {
  const ask = (method: string, path: string, body?: object) =>
    scene.app.request(method, `/api/v1/billing/${path}`, { key: scene.app.keys[owner].owner, body });
  const opened = await ask('POST', 'checkout-sessions', checkoutOf('starter'));
  await payCheckout(scene, { id: owner }, opened.body.url);
  const idsOf = async (path: string, column: string): Promise<string[][]> =>
    (await ask('GET', path)).body.items.map((item: Record<string, string>) => [item[column] ?? '']);
  return {
    'billing/invoices': await idsOf('invoices', 'invoice_id'),
    'billing/payments': await idsOf('payments', 'payment_id'),
    'billing/payment-methods': await idsOf('payment-methods', 'payment_method_id'),
  };
}

/** The names and versions of the models, which are their ids on another route. */
async function modelNames(app: TestApp): Promise<string[][]> {
  const { body } = await app.request('GET', '/api/v1/model-versions', { key: app.keys.operator });
  return body.items.map((model: Record<string, string>) => [model['model_name'], model['version']]);
}

async function auditIds(app: TestApp, key: string): Promise<string[][]> {
  const { body } = await until(
    () => app.request('GET', '/api/v1/audit-logs?limit=500', { key }),
    (answer) => answer.body.items.length >= EACH,
  );
  return body.items.slice(0, EACH).map(({ id }: { id: string }) => [id]);
}
