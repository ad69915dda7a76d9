import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { startBroker } from '../dev/broker/broker.ts';
import { USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { QUEUES } from '../shared/platform/bus/queues.ts';
import { newId } from '../shared/platform/ids/ids.ts';
import { runJob } from '../shared/platform/jobs/job.ts';
import { outboxRelay } from '../shared/platform/writes/outbox-relay.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, operator } = app.keys;
const BASE = '/api/v1/platform/quarantine';

type Item = Readonly<Record<string, unknown>> & { readonly id: string };

const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  app.request(method, `${BASE}${path}`, { key: operator, body, headers });
const list = async (query: string): Promise<Item[]> => (await ask('GET', `?${query}`)).body.items;
const send = (queue: string, body: unknown, applicationProperties: Record<string, string> = {}) =>
  app.services.bus.send(queue, [{ body, messageId: randomUUID(), applicationProperties }]);

const usage = (type: string, tenant = 'acme') => ({
  specversion: '1.0',
  id: randomUUID(),
  source: '/late',
  type: USAGE_RECORDED,
  time: new Date().toISOString(),
  data: { tenant_id: tenant, usage_type: type, usage_amount: 1 },
});
const ledger = (type: string) => app.admin.billing`select from usage_records where usage_type = ${type}`;

/** Sends a message that will be refused, and waits until it is in quarantine. */
async function putAside(query: string, ...sent: Parameters<typeof send>): Promise<Item> {
  const before = new Set((await list(query)).map(({ id }) => id));
  await send(...sent);
  const items = await until(
    () => list(query),
    (found) => found.length > before.size,
  );
  const added = items.find(({ id }) => !before.has(id));
  if (added === undefined) throw new Error('nothing was put aside');
  return added;
}

describe('a message in quarantine', () => {
  it('is found by queue, reason and state, page by page, newest first', async () => {
    const now = Date.now();
    for (let n = 0; n < 5; n++)
      await app.admin.core`
        insert into ops.quarantine (id, queue, identity, reason, body, status, created_at)
        values (${newId(new Date(now - n))}, 'stripe-events', ${Buffer.from(randomUUID())},
                ${n === 0 ? 'REFUSED' : 'NOT_JSON'}, 'x', ${n < 2 ? 'open' : 'discarded'}, ${new Date(now - n)})`;
    expect(await list('queue=stripe-events')).toHaveLength(5);
    expect(await list('queue=stripe-events&reason=REFUSED')).toHaveLength(1);
    expect(await list('queue=stripe-events&reason=NOT_JSON&status=open')).toHaveLength(1);
    expect(await list('queue=stripe-events&status=replayed')).toHaveLength(0);
    const times: string[] = [];
    let path: string | undefined = '?queue=stripe-events&limit=2';
    while (path !== undefined) {
      const page: TestAnswer = await ask('GET', path);
      times.push(...page.body.items.map((item: { created_at: string }) => item.created_at));
      path = /\/quarantine([^>]+)>; rel="next"/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(times).toHaveLength(5);
    expect(times).toEqual([...new Set(times)].sort().reverse());
    const wrong = await ask('GET', '?reason=BECAUSE&status=lost');
    expect(wrong.body.errors.map((fault: { pointer: string }) => fault.pointer).sort()).toEqual([
      'query/reason',
      'query/status',
    ]);
  });

  it('is listed without its content; reading the content is audited', async () => {
    const secret = 'a customer wrote this';
    const item = await putAside('queue=usage-events&reason=NOT_JSON', 'usage-events', Buffer.from(secret));
    expect(JSON.stringify(await list('queue=usage-events'))).not.toContain(secret);
    expect(item).toMatchObject({ body_bytes: secret.length, status: 'open', attempts: 0, tenant_id: null });
    const read = await ask('GET', `/${item.id}`);
    expect(read.body).toMatchObject({ body: secret, body_encoding: 'utf-8' });
    const trail = await until(
      () => app.admin.core`select details from audit_logs where action = 'quarantine.read'
                            and resource_id = ${item.id} and tenant_id = 'platform'`,
      (rows) => rows.length > 0,
    );
    expect(trail).toHaveLength(1);
    expect(app.logLines.join('\n')).not.toContain(secret);
  });

  it('cannot be read, replayed or discarded by a tenant', async () => {
    const item = await putAside('reason=NOT_JSON', 'usage-events', Buffer.from('not yours'));
    const answers = await Promise.all([
      app.request('GET', `${BASE}/${item.id}`, { key: acme.owner }),
      app.request('POST', `${BASE}/${item.id}/replay`, { key: acme.owner, body: {} }),
      app.request('POST', `${BASE}/${item.id}/discard`, { key: acme.owner, body: { reason: 'x' } }),
    ]);
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(
      Array(3).fill([403, 'INSUFFICIENT_RBAC']),
    );
    expect((await ask('GET', `/${item.id}`)).body.status).toBe('open');
  });
});

describe('a replay', () => {
  it('without a change is processed after its reason is gone', async () => {
    const tenant = `later-${randomUUID()}`;
    const item = await putAside('reason=UNKNOWN_TENANT', 'usage-events', usage('as_it_was', tenant));
    expect(item['tenant_id']).toBe(tenant);
    await app.admin
      .core`insert into tenants (tenant_id, name, plan_id, has_quota) values (${tenant}, 'Later', 'starter', false)`;
    const answer = await ask('POST', `/${item.id}/replay`, {});
    expect([answer.status, answer.body.queue]).toEqual([202, 'usage-events']);
    await until(
      () => ledger('as_it_was'),
      (rows) => rows.length === 1,
    );
    const { body } = await ask('GET', `/${item.id}`);
    expect(body).toMatchObject({ status: 'replayed', resolution: `message ${answer.body.message_id}` });
    expect(body.resolved_by).toMatch(/^key:/);
  });

  it('of a message whose envelope is in its properties keeps the properties', async () => {
    const { data, ...attributes } = usage('by_properties', 'acme');
    const properties = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`cloudEvents:${name}`, value]),
    );
    const mistaken = { ...data, usage_amount: 'many' };
    const item = await putAside('reason=INVALID_DATA', 'usage-events', mistaken, properties);
    expect((await ask('POST', `/${item.id}/replay`, { body: data })).status).toBe(202);
    await until(
      () => ledger('by_properties'),
      (rows) => rows.length === 1,
    );
  });

  it('under an idempotency key sends one message, also if it is requested again', async () => {
    const item = await putAside('reason=UNKNOWN_TYPE', 'audit-events', usage('misdirected'));
    const headers = { 'idempotency-key': randomUUID() };
    const first = await ask('POST', `/${item.id}/replay`, {}, headers);
    const second = await ask('POST', `/${item.id}/replay`, {}, headers);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    // This message is behind all messages of the replays.
    await send('audit-events', usage('behind'));
    const open = await until(
      () => list('queue=audit-events&reason=UNKNOWN_TYPE&status=open'),
      (items) => items.length >= 2,
    );
    expect(open).toHaveLength(2);
    expect(open.map((one) => one['message_id'])).toContain(first.body.message_id);
  });

  it('without a change sends the same bytes, content type and properties', async () => {
    const id = newId();
    const properties = { content_type: 'text/x-given', application_properties: { by: 'hand', n: 7 } };
    await app.admin.core`
      insert into ops.quarantine (id, queue, identity, reason, body, properties)
      values (${id}, 'audit-events', ${Buffer.from(id)}, 'NOT_JSON', 'no event', ${app.admin.core.json(properties)})`;
    const sent = await ask('POST', `/${id}/replay`, {});
    expect(sent.status).toBe(202);
    const [again] = await until(
      () => app.admin.core`
        select body, properties from ops.quarantine where message_id = ${sent.body.message_id}`,
      (rows) => rows.length === 1,
    );
    expect([String(again?.['body']), again?.['properties']]).toEqual(['no event', properties]);
  });

  it('of a message without a queue needs a type with a queue', async () => {
    const id = newId();
    await app.admin.core`
      insert into ops.quarantine (id, queue, identity, reason, body)
      values (${id}, 'outbox', ${Buffer.from(id)}, 'UNPUBLISHABLE', '{}')`;
    const refused = await ask('POST', `/${id}/replay`, {});
    expect([refused.status, refused.body.code]).toEqual([409, 'CONFLICT']);
    const sent = await ask('POST', `/${id}/replay`, { body: usage('typed') });
    expect([sent.status, sent.body.queue]).toEqual([202, 'usage-events']);
    await until(
      () => ledger('typed'),
      (rows) => rows.length === 1,
    );
  });
});

// These are last: the broker stops, and comes back empty.
describe('while the broker is unavailable', () => {
  it('a replay is 503 and the message stays open; the relay publishes the events of writes afterwards', async () => {
    const item = await putAside('reason=NOT_JSON', 'usage-events', Buffer.from('{'));
    await app.broker.stop();
    const refused = await ask('POST', `/${item.id}/replay`, { body: usage('afterwards') });
    expect([refused.status, refused.body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await ask('GET', `/${item.id}`)).body).toMatchObject({ status: 'open', attempts: 0 });

    const written = await app.request('POST', '/api/v1/routing-plans', {
      key: acme.writer,
      body: { plan_name: 'written-meanwhile' },
    });
    expect(written.status).toBe(201);
    const later = new Date(Date.now() + 60_000);
    const relay = () => runJob(app.services, outboxRelay, { triggeredBy: 'test', asOf: later });
    await expect(relay()).rejects.toThrow();
    const [failed] = await app.admin.core`
      select status, error from retention_runs where job = 'outbox-relay' order by started_at desc limit 1`;
    expect(failed).toMatchObject({ status: 'failed', error: expect.stringMatching(/\w/) });

    const [, keyName = '', key = ''] =
      /SharedAccessKeyName=([^;]+);SharedAccessKey=([^;]+)/.exec(app.broker.connectionString) ?? [];
    const back = await startBroker({
      port: app.broker.port,
      dataDir: null,
      sas: { keyName, key },
      queues: QUEUES,
    });
    try {
      expect(await relay()).toMatchObject({ status: 'completed' });
      expect(await app.admin.core`select from ops.outbox`).toHaveLength(0);
      expect((await ask('POST', `/${item.id}/replay`, { body: usage('afterwards') })).status).toBe(202);
      await until(
        () => ledger('afterwards'),
        (rows) => rows.length === 1,
      );
      await until(
        () => app.admin.core`select from audit_logs where resource_id = ${written.body.id}`,
        (rows) => rows.length === 1,
      );
    } finally {
      await app.host.stop();
      await back.stop();
    }
  });
});
