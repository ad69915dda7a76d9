import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PERMISSIONS, type Permission } from '../shared/platform/auth/permissions.ts';
import { newId, randomToken } from '../shared/platform/ids/ids.ts';
import { readApiDocument } from './harness/api-document.ts';
import { databaseOf } from '../shared/platform/resources/resource.ts';
import { until, type TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';
import { declaredResources } from '../functions/declared-resources.ts';
import { rowMaker, templateOf, type RowMaker } from './harness/row-maker.ts';
import { GIVEN_ROLE, ROUTES, type Route } from './oracle/routes.ts';
import { makeWorld, OWNERS, type Owner } from './oracle/world.ts';

/** `ORACLE_SEED=… npx vitest run tests/access-oracle.test.ts` repeats a run. */
const SEED = Number(process.env['ORACLE_SEED'] ?? randomInt(2 ** 31));
const PRINCIPALS = 50;
const REQUESTS = 2_000;
const AT_ONCE = 8;

const { app } = await startBillingApp({ webhooks: false });
// Access does not depend on the plan, and a spent allowance would hide faults.
await app.admin.core`update tenants set plan_id = 'professional', has_quota = false`;
const world = await makeWorld(app);
const api = await readApiDocument(app);
/** Makes the rows that bodies refer to, with each tenant's owner key. */
const makers: Readonly<Record<Owner, RowMaker>> = {
  acme: rowMaker(app, 'acme', app.keys.acme.owner),
  globex: rowMaker(app, 'globex', app.keys.globex.owner),
};

interface Principal {
  readonly owner: Owner;
  readonly permissions: readonly Permission[];
  readonly key: string;
}

/** One request, without its expected outcome. */
interface Try {
  readonly principal: Principal;
  readonly route: Route;
  readonly target: Owner | 'platform' | 'nobody';
  readonly at: number;
  /** Whether the request also names the other tenant. */
  readonly names: 'nobody' | 'query' | 'header' | 'itself';
}

const otherOf = (owner: Owner): Owner => (owner === 'acme' ? 'globex' : 'acme');

/** A tenant cannot be given the platform's own permission. */
const GRANTABLE = PERMISSIONS.filter((permission) => permission !== 'platform:operate');

async function makePrincipals(): Promise<Principal[]> {
  // Some have all permissions: with few permissions, nearly every request would only be refused.
  const permissions = fc.oneof(
    { weight: 4, arbitrary: fc.subarray(GRANTABLE) },
    { weight: 1, arbitrary: fc.constant(GRANTABLE) },
  );
  const wanted = fc.sample(fc.record({ owner: fc.constantFrom(...OWNERS), permissions }), {
    seed: SEED,
    numRuns: PRINCIPALS,
  });
  return Promise.all(
    wanted.map(async ({ owner, permissions }) => ({
      owner,
      permissions,
      key: await app.makeKey(owner, permissions),
    })),
  );
}

/** The statuses that a request may get. It has the rules written independently of the app's code. */
function expectedOf({ principal, route, target, names, at }: Try): { statuses: number[]; code?: string } {
  const allowed = {
    GET: [200],
    POST: [200, 201, 202, 207, 409],
    PUT: [200, 206, 409, 412],
    DELETE: [204, 412],
  }[route.method];
  if (route.subject === 'signed' || route.subject === 'secret')
    return { statuses: [400], code: 'INVALID_REQUEST' };
  if (route.needs === null) return { statuses: [200] };
  // These principals are keys. A key is nobody's person.
  if (route.needs === 'person') return { statuses: [403], code: 'INSUFFICIENT_RBAC' };
  if (route.needs !== 'authenticated' && !principal.permissions.includes(route.needs))
    return { statuses: [403], code: 'INSUFFICIENT_RBAC' };
  if (names === 'query' || names === 'header') return { statuses: [403], code: 'TENANT_MISMATCH' };
  // Only a person can answer for a key.
  if (route.operation === 'api-keys-adopt') return { statuses: [403], code: 'INSUFFICIENT_RBAC' };
  switch (route.subject) {
    case 'row':
      if (target !== principal.owner) return { statuses: [404], code: 'NOT_FOUND' };
      if (route.path === 'api-keys/{}/rotate') return expectedOfRotation(principal, at);
      return route.givesRole === true ? expectedOfGiving(principal, route) : { statuses: allowed };
    case 'shared':
      if (target === principal.owner) return { statuses: allowed };
      if (target === 'platform' && world.rows.platform[route.collection] !== undefined)
        return route.method === 'GET' ? { statuses: [200] } : { statuses: [403], code: 'INSUFFICIENT_RBAC' };
      return { statuses: [404], code: 'NOT_FOUND' };
    case 'global':
      return target === 'platform' ? { statuses: allowed } : { statuses: [404], code: 'NOT_FOUND' };
    case 'self':
      // Without a next invoice, because the subscription was cancelled.
      return { statuses: route.path === 'billing/upcoming-invoice' ? [200, 404] : allowed };
    case 'create':
      return route.givesRole === true ? expectedOfGiving(principal, route) : { statuses: allowed };
    case 'public':
    case 'list':
    case 'shared-list':
    case 'global-list':
      return { statuses: allowed };
    default:
      return route.subject satisfies never;
  }
}

/** Nobody gives or takes what they do not hold. What another request has ended comes first. */
function expectedOfGiving(principal: Principal, { operation }: Route): { statuses: number[] } {
  const holdsAll = GIVEN_ROLE.permissions.every((permission) => principal.permissions.includes(permission));
  const done = operation === 'users-erasure-request' ? [202] : [200, 201, 204];
  return { statuses: [404, 409, ...(holdsAll ? done : [403])] };
}

/** A key gives at most its own rights, also by rotating another key. */
function expectedOfRotation(principal: Principal, at: number): { statuses: number[]; code?: string } {
  const ids = world.rows[principal.owner]['api-keys'] ?? [];
  const permissions = world.keyPermissions.get(ids[at % ids.length]?.[0] ?? '') ?? [];
  const holdsAll = permissions.every((permission) => principal.permissions.includes(permission));
  // The check for an earlier rotation comes first.
  return holdsAll ? { statuses: [201, 409] } : { statuses: [403, 409] };
}

/** The ids of the requested row: those of a known row, or unknown ones. */
function idsOf({ route, target, at }: Try): readonly string[] {
  const rows = target === 'nobody' ? [] : (world.rows[target][route.collection] ?? []);
  const nobodys = (_: unknown, n: number): string => {
    if (route.collection === 'roles') return 'no_such_role';
    return route.collection === 'api-keys' || (route.collection === 'users/sessions' && n === 1)
      ? randomToken(20)
      : newId();
  };
  return rows[at % Math.max(1, rows.length)] ?? (route.path.match(/\{\}/g) ?? []).map(nobodys);
}

function pathOf(one: Try): string {
  const ids = idsOf(one)[Symbol.iterator]();
  return one.route.path.replace(/\{\}/g, () => ids.next().value ?? '');
}

async function send(one: Try): Promise<TestAnswer> {
  const { principal, route, names } = one;
  const path = pathOf(one);
  if (route.needs === null) return app.request(route.method, `/api/${path}`, { body: route.body });
  const tenant = names === 'itself' ? principal.owner : otherOf(principal.owner);
  const query =
    names === 'query' || names === 'itself' ? `${path.includes('?') ? '&' : '?'}tenant_id=${tenant}` : '';
  const body = (await route.freshBody?.(makers[principal.owner])) ?? route.body;
  return app.request(route.method, `/api/v1/${path}${query}`, {
    key: principal.key,
    body,
    headers: { ...route.headers, ...(names === 'header' ? { 'x-tenant-id': tenant } : {}) },
  });
}

/** Known ids of the other tenant in an answer. Only references that the own tenant wrote may contain them. */
function strangersIn(one: Try, answer: TestAnswer): string[] {
  // The same for everybody and large, so it is not searched.
  if (one.route.needs === null) return [];
  const others = Object.values(world.rows[otherOf(one.principal.owner)]).flat(2);
  const without = JSON.stringify(answer.body, (key, value: unknown) =>
    key === 'evidence_refs' || key === 'orchestration_request_id' ? undefined : value,
  );
  // The answer repeats the requested path.
  const asked = idsOf(one);
  return others.filter((id) => !asked.includes(id) && without.includes(id));
}

/** The tenant's own rows that are missing in a list. */
function missingIn({ principal, route }: Try, answer: TestAnswer): string[] {
  if (!route.subject.endsWith('list') || answer.status !== 200 || answer.headers.has('link')) return [];
  const text = JSON.stringify(answer.body);
  return (world.rows[principal.owner][route.collection] ?? []).flat().filter((id) => !text.includes(id));
}

const tries = async (): Promise<Try[]> => {
  const principals = await makePrincipals();
  const arbitrary = fc.record({
    principal: fc.constantFrom(...principals),
    route: fc.constantFrom(...ROUTES),
    target: fc.oneof(
      { weight: 5, arbitrary: fc.constantFrom(...OWNERS) },
      { weight: 1, arbitrary: fc.constantFrom('platform' as const, 'nobody' as const) },
    ),
    at: fc.nat({ max: 1000 }),
    names: fc.oneof(
      { weight: 12, arbitrary: fc.constant('nobody' as const) },
      { weight: 1, arbitrary: fc.constantFrom('query' as const, 'header' as const, 'itself' as const) },
    ),
  });
  return fc.sample(arbitrary, { seed: SEED, numRuns: REQUESTS });
};

/** Runs `work` on each item, {@link AT_ONCE} at a time. */
async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

it('has every route of the app once', () => {
  const lines = ROUTES.map(({ operation, path }) => `${operation} ${path}`);
  expect(lines.filter((line, n) => lines.indexOf(line) !== n)).toEqual([]);
  const known = new Set(ROUTES.map(({ operation }) => operation));
  expect([...known].sort()).toEqual(api.operations.map(({ id }) => id).sort());
  for (const { operation, needs } of ROUTES) {
    const { permission } = api.operations.find(({ id }) => id === operation) ?? {};
    expect([operation, needs]).toEqual([operation, permission]);
  }
});

describe(`with the seed ${SEED}, ${PRINCIPALS} random principals of two tenants`, () => {
  const counts = { refused: 0, absent: 0, allowed: 0, denials: 0, sources: 0 };

  it('read and change exactly what the rules allow', { timeout: 120_000 }, async () => {
    const since = new Date();
    const faults: string[] = [];
    await forEach(await tries(), async (one) => {
      const foretold = expectedOf(one);
      const answer = await send(one);
      const { status, body } = answer;
      counts[status === 403 ? 'refused' : status === 404 ? 'absent' : 'allowed'] += 1;
      if (status === 403) counts.denials += 1;
      if (status === 200 && one.route.path.endsWith('/source')) counts.sources += 1;
      const wrong = [
        ...(foretold.statuses.includes(status) ? [] : [`${status}, not ${foretold.statuses.join(' or ')}`]),
        ...(status >= 400 &&
        typeof body.detail !== 'string' &&
        !(one.route.subject === 'secret' && body.errors.length > 0)
          ? [`${status} without a reason`]
          : []),
        ...(foretold.code === undefined || body.code === foretold.code
          ? []
          : [`${body.code}, not ${foretold.code}`]),
        ...strangersIn(one, answer).map((id) => `shows ${id} of the other tenant`),
        ...missingIn(one, answer).map((id) => `lacks ${id}`),
      ];
      if (wrong.length > 0 && faults.length < 10) {
        const { principal, route, target, names } = one;
        faults.push(
          `${principal.owner} [${principal.permissions.join(' ')}] ${route.method} ${route.path} of ${target}, ` +
            `naming ${names}:\n  ${wrong.join('\n  ')}\n  ${JSON.stringify(body).slice(0, 300)}`,
        );
      }
    });
    expect(faults.join('\n')).toBe('');
    // Each kind of outcome must occur.
    for (const count of [counts.refused, counts.absent, counts.allowed])
      expect(count).toBeGreaterThan(REQUESTS / 20);
    await expectTrail(since);
  });

  /** Each denial and each read of a source is once in the audit trail of the key's tenant. */
  async function expectTrail(since: Date): Promise<void> {
    const count = async (condition: string): Promise<number> => {
      const [row] = await app.admin.core.unsafe(
        `select count(*)::int as n from audit_logs where created_at >= $1 and ${condition}`,
        [since],
      );
      return Number(row?.['n']);
    };
    await until(
      () => app.admin.core`select from ops.outbox`,
      (rows) => rows.length === 0,
      45,
    );
    await until(
      () => count(`outcome = 'denied'`),
      (found) => found >= counts.denials,
      30,
    );
    expect(await count(`outcome = 'denied'`)).toBe(counts.denials);
    expect(await count(`action = 'record.source_read'`)).toBe(counts.sources);
  }

  it('do not move a row to another tenant', async () => {
    for (const owner of OWNERS) {
      const declared = declaredResources
        .filter(({ scope }) => scope !== 'platform')
        .map(
          (resource) =>
            [templateOf(resource), resource.table, resource.idColumn, databaseOf(resource)] as const,
        );
      for (const [collection, table, id, database = 'core'] of [
        ['orchestrations', 'orchestration_requests', 'request_id'],
        ['mappings', 'mapper_requests', 'request_id'],
        ['analyses', 'analysis_requests', 'request_id'],
        ['records', 'storage_records', 'id'],
        ['api-keys', 'api_keys', 'key_id'],
        ...declared,
      ] as const) {
        const ids = (world.rows[owner][collection] ?? []).map((pathIds) => pathIds.at(-1) ?? '');
        const sql = app.admin[database];
        const found =
          await sql`select tenant_id from ${sql(table)} where ${sql(id)}::text = any(${[...ids]}::text[])`;
        expect([collection, found.map((row) => row['tenant_id'])]).toEqual([
          collection,
          ids.map(() => owner),
        ]);
      }
    }
  });
});
