import { createHash, randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { AUDIT_RECORDED, USAGE_RECORDED } from '../shared/platform/bus/events.ts';
import { startTestApp, until, type TestAnswer } from './harness/app.ts';

const app = await startTestApp();
const { acme, globex, operator } = app.keys;
const DAY_MS = 86_400_000;

function auditEvent(action: string, more: Record<string, unknown> = {}, data: Record<string, unknown> = {}) {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: '/another-service',
    type: AUDIT_RECORDED,
    time: new Date().toISOString(),
    data: { tenant_id: 'acme', actor: 'service:other', action, resource_type: 'thing', ...data },
    ...more,
  };
}

/** Sends one batch, which the consumer gets together or nearly so. */
const send = (queue: string, bodies: readonly unknown[], properties: Record<string, string> = {}) =>
  app.services.bus.send(
    queue,
    bodies.map((body) => ({ body, messageId: randomUUID(), applicationProperties: properties })),
  );

async function trail(query: string, key = acme.owner): Promise<{ [field: string]: unknown }[]> {
  const answer = await app.request('GET', `/api/v1/audit-logs?${query}`, { key });
  expect(answer.status).toBe(200);
  return answer.body.items;
}

const quarantine = async (query: string): Promise<{ [field: string]: unknown }[]> =>
  (await app.request('GET', `/api/v1/platform/quarantine?limit=200&${query}`, { key: operator })).body.items;

describe('audit events', () => {
  it('become one entry each, also if they come several times', async () => {
    const event = auditEvent('thing.doubled', {}, { resource_id: 'r1', details: { fields: ['a'] } });
    await send('audit-events', [event, event]);
    await send('audit-events', [event]);
    await send('audit-events', [auditEvent('thing.after')]);
    await until(
      () => trail('action=thing.after'),
      (items) => items.length === 1,
    );
    expect(await trail('action=thing.doubled')).toMatchObject([
      { actor: 'service:other', resource_id: 'r1', outcome: 'success', details: { fields: ['a'] } },
    ]);
  });

  it('have a leaf hash that anyone can compute again from the canonical bytes', async () => {
    await send('audit-events', [auditEvent('thing.hashed', {}, { details: { z: 1, a: 'é' } })]);
    const [entry] = await until(
      () => trail('action=thing.hashed'),
      (items) => items.length === 1,
    );
    const { body } = await app.request('GET', `/api/v1/audit-logs/${String(entry?.['id'])}`, {
      key: acme.owner,
    });
    const hash = createHash('sha256').update(Buffer.of(0)).update(body.canonical, 'utf8').digest('hex');
    expect(body.leaf_hash).toBe(hash);
    expect(JSON.parse(body.canonical)).toMatchObject({ action: 'thing.hashed', tenant_id: 'acme' });
  });

  it('keep their own time, also in an old partition', async () => {
    const time = new Date(Date.now() - 400 * DAY_MS).toISOString();
    await send('audit-events', [auditEvent('thing.long-ago', { time })]);
    const [entry] = await until(
      () => trail('action=thing.long-ago'),
      (items) => items.length === 1,
    );
    expect(Date.parse(String(entry?.['created_at']))).toBe(Date.parse(time));
  });

  it('are found by actor, action, resource and time, page by page, and by no other tenant', async () => {
    const started = new Date().toISOString();
    const events = Array.from({ length: 7 }, (_, n) =>
      auditEvent('thing.listed', {}, { actor: `service:${n % 2}`, resource_id: `listed-${n}` }),
    );
    await send('audit-events', events);
    await until(
      () => trail('action=thing.listed'),
      (items) => items.length === 7,
    );
    expect(await trail('action=thing.listed&actor=service:1')).toHaveLength(3);
    expect(await trail('resource_type=thing&resource_id=listed-4')).toHaveLength(1);
    expect(await trail(`action=thing.listed&to=${started}`)).toHaveLength(0);
    expect(await trail(`action=thing.listed&from=${started}`)).toHaveLength(7);
    expect(await trail('action=thing.listed', globex.owner)).toHaveLength(0);
    const [entry] = await trail('resource_id=listed-0');
    const foreign = await app.request('GET', `/api/v1/audit-logs/${String(entry?.['id'])}`, {
      key: globex.owner,
    });
    expect(foreign.status).toBe(404);
    const seen = new Set<unknown>();
    let path: string | undefined = '/api/v1/audit-logs?action=thing.listed&limit=3';
    while (path !== undefined) {
      const page: TestAnswer = await app.request('GET', path, { key: acme.owner });
      for (const item of page.body.items) seen.add(item.resource_id);
      const next = /<([^>]+)>/.exec(page.headers.get('link') ?? '')?.[1];
      path = next === undefined ? undefined : next.replace(app.baseUrl, '');
    }
    expect(seen.size).toBe(7);
  });

  it('cannot be changed or removed by any role of the app', async () => {
    for (const role of ['comply_app', 'comply_jobs']) {
      for (const sql of [
        'update audit_logs set action = action',
        'delete from audit_logs',
        'truncate audit_logs',
      ]) {
        const attempt = app.admin.core.begin(async (tx) => {
          await tx.unsafe(`set local role ${role}`);
          await tx.unsafe(sql);
        });
        await expect(attempt).rejects.toMatchObject({ code: '42501' });
      }
    }
  });
});

describe('an audit event', () => {
  const mapping = { detector: 'regex-pii', source_data: 'trace me', model_version: 'v1' };
  const response = {
    taxonomy: ['PII.Identifier.SSN'],
    scores: { 'PII.Identifier.SSN': 0.9 },
    confidence: 0.9,
    processing_time_ms: 1,
    model_used: 'm',
  };

  it('comes from each change, and from each read of a source, once, without content', async () => {
    const created = await app.request('POST', '/api/v1/mappings', {
      key: acme.writer,
      body: { ...mapping, response },
    });
    const record: string = created.body.record_id;
    expect(
      (await app.request('GET', `/api/v1/records/${record}/source`, { key: acme.owner })).body.source_data,
    ).toBe('trace me');
    expect((await app.request('GET', `/api/v1/records/${record}/source`, { key: acme.reader })).status).toBe(
      403,
    );
    await until(
      () => trail(`resource_id=${record}&action=record.source_read`),
      (items) => items.length === 1,
    );
    expect(await trail(`resource_id=${String(created.body.request_id)}`)).toMatchObject([
      { action: 'mapping.created', actor: expect.stringMatching(/^key:/), outcome: 'success' },
    ]);
    await until(
      () => trail('outcome=denied'),
      (items) => items.length > 0,
    );
    const all = await app.admin.core`select string_agg(details::text, ' ') as text from audit_logs`;
    expect(all[0]?.['text']).not.toContain('trace me');
  });

  it('of a process that died between commit and publish is sent by the relay, and counts once', async () => {
    const id = randomUUID();
    const event = auditEvent('thing.orphaned', { id });
    const old = new Date(Date.now() - 60_000);
    const insert = () => app.admin.core`
      insert into ops.outbox (id, tenant_id, events, created_at)
      values (${randomUUID()}, 'acme', ${app.admin.core.json([event])}, ${old})`;
    await insert();
    await app.host.invoke('outbox-relay');
    await until(
      () => trail('action=thing.orphaned'),
      (items) => items.length === 1,
    );
    // The process died between the publish and the deletion of the row: the event is sent again, and counts once.
    await insert();
    await app.host.invoke('outbox-relay');
    await send('audit-events', [auditEvent('thing.behind')]);
    await until(
      () => trail('action=thing.behind'),
      (items) => items.length === 1,
    );
    expect(await trail('action=thing.orphaned')).toHaveLength(1);
    expect(await app.admin.core`select from ops.outbox where created_at <= ${old}`).toHaveLength(0);
  });

  it('goes to quarantine if no queue takes it, and does not delay others', async () => {
    const old = new Date(Date.now() - 60_000);
    const odd = auditEvent('thing.odd', { type: 'com.comply-ai.unheard-of.v1' });
    const good = auditEvent('thing.good');
    await app.admin.core`
      insert into ops.outbox (id, tenant_id, events, created_at)
      values (${randomUUID()}, 'acme', ${app.admin.core.json([odd, good])}, ${old})`;
    await app.host.invoke('outbox-relay');
    await until(
      () => trail('action=thing.good'),
      (items) => items.length === 1,
    );
    expect(await quarantine('queue=outbox')).toMatchObject([{ reason: 'UNPUBLISHABLE', message_id: odd.id }]);
  });
});

describe('a message that cannot be processed', () => {
  const usage = (data: Record<string, unknown> = {}, more: Record<string, unknown> = {}) => ({
    specversion: '1.0',
    id: randomUUID(),
    source: '/faulty',
    type: USAGE_RECORDED,
    time: new Date().toISOString(),
    data: { tenant_id: 'acme', usage_type: 'beside_faulty', usage_amount: 1, ...data },
    ...more,
  });
  const faulty: readonly (readonly [string, unknown])[] = [
    ['NOT_JSON', Buffer.from('{"half":')],
    ['NOT_JSON', Buffer.from([0xff, 0xfe, 0x00])],
    ['NOT_A_CLOUD_EVENT', { hello: 'world' }],
    ['UNKNOWN_TYPE', usage({}, { type: 'com.comply-ai.usage.recorded.v7' })],
    ['UNKNOWN_TENANT', usage({ tenant_id: 'nobody' })],
    ['INVALID_DATA', usage({ usage_amount: -1 })],
    ['INVALID_TIME', usage({}, { time: '2019-01-01T00:00:00Z' })],
  ];

  beforeAll(async () => {
    await send('usage-events', [...faulty.map(([, body]) => body), usage(), usage(), usage()]);
    await until(
      () => quarantine('queue=usage-events'),
      (items) => items.length >= faulty.length,
    );
  });

  it('does not affect the others of its batch', async () => {
    await until(
      () => app.admin.billing`select from usage_records where usage_type = 'beside_faulty'`,
      (rows) => rows.length === 3,
    );
    expect(app.broker.queueCounts()['usage-events']).toMatchObject({ deadLettered: 0 });
  });

  it('is in quarantine with its reason and its bytes', async () => {
    const items = await quarantine('queue=usage-events&status=open');
    expect(items.map((item) => item['reason']).sort()).toEqual(faulty.map(([reason]) => reason).sort());
    for (const [reason, sent] of faulty) {
      const bodies = await Promise.all(
        items
          .filter((item) => item['reason'] === reason)
          .map(async (item) => {
            const { body } = await app.request('GET', `/api/v1/platform/quarantine/${String(item['id'])}`, {
              key: operator,
            });
            return Buffer.from(body.body, body.body_encoding).toString('latin1');
          }),
      );
      const bytes = Buffer.isBuffer(sent) ? sent : Buffer.from(JSON.stringify(sent));
      expect(bodies).toContain(bytes.toString('latin1'));
    }
  });

  it('is in the log with its queue and reason, without its content', () => {
    const lines = app.logLines.filter((line) => line.includes('messages-quarantined'));
    const told = lines.filter((line) => line.includes('"usage-events"')).join('\n');
    for (const [reason] of faulty) expect(told).toMatch(new RegExp(`"reasons":"[^"]*${reason}`));
    expect(told).not.toMatch(/half|hello|beside_faulty/);
  });

  it('can be read by operators, not by tenants', async () => {
    for (const path of ['', `/${randomUUID()}`]) {
      const answer = await app.request('GET', `/api/v1/platform/quarantine${path}`, { key: acme.owner });
      expect([answer.status, answer.body.code]).toEqual([403, 'INSUFFICIENT_RBAC']);
    }
  });

  it('comes back as a new entry if it is replayed unchanged', async () => {
    const [item] = await quarantine('reason=INVALID_DATA&status=open');
    const path = `/api/v1/platform/quarantine/${String(item?.['id'])}`;
    const answer = await app.request('POST', `${path}/replay`, { key: operator, body: {} });
    expect([answer.status, answer.body.status, answer.body.attempts]).toEqual([202, 'replayed', 1]);
    const [again] = await until(
      () => quarantine('reason=INVALID_DATA&status=open'),
      (items) => items.length === 1,
    );
    expect(again?.['id']).not.toBe(item?.['id']);
  });

  it('is processed after it is corrected, and only once, also if it is replayed again', async () => {
    const [item] = await quarantine('reason=UNKNOWN_TENANT&status=open');
    const path = `/api/v1/platform/quarantine/${String(item?.['id'])}`;
    const mended = usage({ usage_type: 'mended' });
    for (const attempts of [1, 2]) {
      const answer = await app.request('POST', `${path}/replay`, { key: operator, body: { body: mended } });
      expect([answer.status, answer.body.attempts]).toEqual([202, attempts]);
    }
    await send('usage-events', [usage({ usage_type: 'behind_mended' })]);
    await until(
      () => app.admin.billing`select from usage_records where usage_type = 'behind_mended'`,
      (rows) => rows.length === 1,
    );
    expect(await app.admin.billing`select from usage_records where usage_type = 'mended'`).toHaveLength(1);
  });

  it('can be discarded with a reason, and then not be replayed', async () => {
    const [item] = await quarantine('reason=NOT_A_CLOUD_EVENT&status=open');
    const path = `/api/v1/platform/quarantine/${String(item?.['id'])}`;
    const silent = await app.request('POST', `${path}/discard`, { key: operator, body: {} });
    expect(silent.status).toBe(400);
    const done = await app.request('POST', `${path}/discard`, {
      key: operator,
      body: { reason: 'a test message' },
    });
    expect([done.status, done.body.status]).toEqual([200, 'discarded']);
    expect((await app.request('POST', `${path}/replay`, { key: operator, body: {} })).status).toBe(409);
    const missing = await app.request('POST', `/api/v1/platform/quarantine/${randomUUID()}/replay`, {
      key: operator,
      body: {},
    });
    expect(missing.status).toBe(404);
  });

  it('is refused if its type belongs to another queue', async () => {
    await send('archive-records', [usage()]);
    await send('audit-events', [usage(), 'text']);
    await until(
      () => quarantine('queue=archive-records&reason=UNKNOWN_TYPE'),
      (items) => items.length === 1,
    );
    await until(
      () => quarantine('queue=audit-events'),
      (items) => items.length === 2,
    );
  });
});

it('audit events are accepted for seven years, and then go to quarantine', async () => {
  const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString();
  const old = auditEvent('thing.nearly-seven-years', { time: daysAgo(7 * 365 + 1) });
  const tooOld = auditEvent('thing.older', { time: daysAgo(7 * 365 + 3) });
  await send('audit-events', [tooOld, old]);
  await until(
    () => trail('action=thing.nearly-seven-years'),
    (items) => items.length === 1,
  );
  const refused = await until(
    () => quarantine('queue=audit-events&reason=INVALID_TIME'),
    (items) => items.length > 0,
  );
  expect(refused).toMatchObject([{ detail: [{ detail: 'is more than 2557 days old' }] }]);
  expect(await trail('action=thing.older')).toEqual([]);
});
