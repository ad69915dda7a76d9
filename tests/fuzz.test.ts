import { randomInt, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  collectionOf,
  draftsByOperation,
  readyToSend,
  TENANTS,
  type FuzzRequest,
  type Pools,
  type Tenant,
} from './fuzz/requests.ts';
import { addRow, seedRows } from './fuzz/seed-rows.ts';
import { readApiDocument } from './harness/api-document.ts';
import { until, type TestAnswer } from './harness/app.ts';
import { startBillingApp } from './harness/billing-app.ts';

/** `FUZZ_SEED=… npx vitest run tests/fuzz.test.ts` repeats a run; FUZZ_REQUESTS and FUZZ_SECONDS make it longer. */
const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));
const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 2_500);
/** A limit, since the rest of the suite waits. A slow machine sends fewer requests. */
const TIME_MS = Number(process.env['FUZZ_SECONDS'] ?? 35) * 1000;
/** Requests at once. */
const AT_ONCE = 6;

const { app } = await startBillingApp({ webhooks: false });
const api = await readApiDocument(app);
const keys: Record<Tenant, string> = {
  acme: app.keys.acme.owner,
  globex: app.keys.globex.owner,
  platform: app.keys.operator,
};
/** Every text that a tenant sends contains its marker. A marker in another tenant's answer or in a log line is a leak. */
const markers = Object.fromEntries(
  TENANTS.map((tenant) => [tenant, `of_${tenant}_${randomUUID().replaceAll('-', '')}`]),
) as Record<Tenant, string>;
const pools: Pools = await seedRows(app, keys, markers);

/** Internal details: a stack, a file, a message of the database. */
const INSIDE =
  /\bat [\w.<>]+ \(|node_modules|\b(?:PostgresError|SQLSTATE|ZodError|TypeError|duplicate key value)\b/;

const statuses = new Map<number, number>();
const answered = new Map<string, Set<number>>();

/** The tenants whose rows a tenant may not see. Everybody sees the platform's defaults. */
const strangersOf = (tenant: Tenant): Tenant[] =>
  TENANTS.filter((other) => other !== tenant && other !== 'platform');

/** The faults of an answer; empty for a good one. */
function findFaults(request: FuzzRequest, answer: TestAnswer): string[] {
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
  const strangers = strangersOf(request.tenant).map((tenant) => markers[tenant]);
  const isOperator = request.operation.permission === 'platform:operate';
  return [
    ...(answer.status >= 500 ? [`answered ${answer.status}`] : []),
    ...api.findFaults(request.operation, answer),
    ...(!isOperator && strangers.some((marker) => text.includes(marker))
      ? ['shows another tenant’s row']
      : []),
    ...(answer.status >= 400 && INSIDE.test(text) ? ['has internal details'] : []),
    ...(answer.status >= 400 && answer.body.status !== answer.status ? ['is no problem of its status'] : []),
  ];
}

/** Adds new rows of an answer to the pools: its Location is the collection's path and an id. */
function learn({ operation, tenant }: FuzzRequest, { status, headers, body }: TestAnswer): void {
  if (status !== 201 && status !== 206) return;
  const template = `${operation.path}/{}`.split('/');
  const location = (headers.get('location') ?? '').split('/');
  const fits = template.every((part, n) => part.startsWith('{') || part === location[n]);
  if (fits && location.length === template.length) {
    const ids = location.filter((_part, n) => template[n]?.startsWith('{'));
    addRow(pools[tenant], collectionOf(template.join('/')), ids);
  }
  for (const [collection, id] of [
    ['records', body.record_id],
    ['jobs', body.job_id],
  ]) {
    if (typeof id === 'string') addRow(pools[tenant], collection, [id]);
  }
}

async function send(request: FuzzRequest): Promise<string | undefined> {
  const { operation, tenant, path, headers, payload } = request;
  const answer = await app.request(operation.method, path, {
    key: keys[tenant],
    headers,
    ...(payload === undefined ? {} : { raw: payload }),
  });
  statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
  answered.set(operation.id, (answered.get(operation.id) ?? new Set()).add(answer.status));
  learn(request, answer);
  const faults = findFaults(request, answer);
  if (faults.length === 0) return undefined;
  const sent = JSON.stringify({ tenant, headers, payload }).slice(0, 1_500);
  return `${operation.id} ${operation.method} ${path}\n  ${faults.join('\n  ')}\n  sent ${sent}\n  got ${JSON.stringify(answer.body).slice(0, 800)}`;
}

it('has rows for the path of every route', () => {
  const named = api.operations.filter(({ path }) => path.includes('{') && !path.includes('/lineage/'));
  const missing = named.filter(({ path }) =>
    [pools.acme, pools.platform].every((pool) => !pool.has(collectionOf(path))),
  );
  expect(missing.map(({ id }) => id)).toEqual([]);
});

describe(`with the seed ${SEED}, any request to any route`, () => {
  it(
    'is answered below 500, as documented, with rows of the own tenant only',
    { timeout: TIME_MS + 60_000 },
    async () => {
      const byOperation = draftsByOperation(api, markers, pools);
      // Each operation once, also on a slow machine, then at random.
      const list = [
        ...byOperation.flatMap((drafts) => fc.sample(drafts, { seed: SEED, numRuns: 1 })),
        ...fc.sample(fc.oneof(...byOperation), { seed: SEED, numRuns: REQUESTS }),
      ];
      const deadline = Date.now() + TIME_MS;
      const queue = list[Symbol.iterator]();
      const faults: string[] = [];
      const work = async (): Promise<void> => {
        for (const draft of queue) {
          if (Date.now() > deadline || faults.length >= 10) return;
          const fault = await send(readyToSend(draft, pools));
          if (fault !== undefined) faults.push(fault);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      expect(faults.join('\n\n')).toBe('');
    },
  );

  it('reaches every operation, and its handler', () => {
    const missed = api.operations.filter(({ id }) => !answered.has(id)).map(({ id }) => id);
    expect(missed).toEqual([]);
    const well = [...answered].filter(([, seen]) => [...seen].some((status) => status < 300));
    console.info(
      `fuzz seed ${SEED}: ${JSON.stringify(Object.fromEntries(statuses))}; ${well.length} operations answered 2xx`,
    );
    expect(well.length).toBeGreaterThan(api.operations.length / 2);
  });

  it('writes only rows of the own tenant', async () => {
    for (const database of [app.admin.core, app.admin.billing, app.admin.analytics]) {
      const tables =
        await database`select format('%I.%I', table_schema, table_name) as name from information_schema.columns
        where column_name = 'tenant_id' and table_schema in ('public', 'ops')`;
      for (const { name } of tables) {
        for (const tenant of TENANTS) {
          const strangers = strangersOf(tenant).map((other) => `%${markers[other]}%`);
          const rows = await database`select from ${database.unsafe(String(name))} t
            where t.tenant_id = ${tenant} and to_jsonb(t)::text like any(${strangers}::text[])`;
          expect([name, tenant, rows.length]).toEqual([name, tenant, 0]);
        }
      }
    }
  });

  it('leaves no content and no failure in any log line', () => {
    const leaked = app.logLines.filter((line) => TENANTS.some((tenant) => line.includes(markers[tenant])));
    expect(leaked).toEqual([]);
    expect(
      app.logLines.filter((line) => /request-failed|tenant-isolation-refused|refusal-not-audited/.test(line)),
    ).toEqual([]);
  });

  it('causes events that every consumer accepts, and all of them arrive', async () => {
    await until(
      () => app.admin.core`select id from ops.outbox`,
      (rows) => rows.length === 0,
      45,
    );
    await until(
      () => Promise.resolve(Object.entries(app.broker.queueCounts())),
      // Another service reads the mails.
      (counts) => counts.every(([queue, { active }]) => active === 0 || queue === 'notifications'),
      45,
    );
    const dead = Object.entries(app.broker.queueCounts()).filter(([, { deadLettered }]) => deadLettered > 0);
    expect(dead).toEqual([]);
    const refused = await app.admin
      .core`select queue, reason, detail, convert_from(body, 'UTF8') as body from ops.quarantine
      where convert_from(body, 'UTF8') like '%/comply-ai/backend%'`;
    expect(refused).toEqual([]);
    expect((await app.request('GET', '/api/health/ready')).status).toBe(200);
  });
});
