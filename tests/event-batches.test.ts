import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { ServiceBusClient } from '@azure/service-bus';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { buildFixtureApp, startFixture } from '../dev/host/fixture-app.ts';
import { archiveRecords } from '../functions/queue/archive-records.ts';
import { auditEvents } from '../functions/queue/audit-events.ts';
import { billingChanges } from '../functions/queue/billing-changes.ts';
import { stripeEvents } from '../functions/queue/stripe-events.ts';
import { usageEvents } from '../functions/queue/usage-events.ts';
import { webhookDeliveries } from '../functions/queue/webhook-deliveries.ts';
import { usageConsumer } from '../shared/domains/billing/metering/consume-usage.ts';
import { MessageTooLarge } from '../shared/platform/bus/bus-sender.ts';
import {
  ALERT_RESOLVED,
  ALERT_TRIGGERED,
  ARCHIVE_REQUESTED,
  AUDIT_RECORDED,
  BILLING_CHANGED,
  newEvent,
  queueOf,
  STRIPE_EVENT_RECEIVED,
  USAGE_RECORDED,
  USAGE_THRESHOLD_REACHED,
  WEBHOOK_DELIVERY_DUE,
} from '../shared/platform/bus/events.ts';
import { EVENT_BATCH, packEvents } from '../shared/platform/bus/pack-events.ts';
import { QUEUES, type QueueDefinition } from '../shared/platform/bus/queues.ts';
import { openBatch, queueConsumer } from '../shared/platform/consume/consume.ts';
import type { EventConsumer, TenantlessConsumer } from '../shared/platform/consume/event-consumer.ts';
import { receivedMessages } from '../shared/platform/consume/received-message.ts';
import { startTestApp, until } from './harness/app.ts';

const FIXTURE_QUEUE = 'fixture-events';
const [like] = QUEUES;
if (like === undefined) throw new Error('there are no queues');
const fixtureQueue: QueueDefinition = { ...like, name: FIXTURE_QUEUE };

const app = await startTestApp({ queues: [...QUEUES, fixtureQueue] });
const { operator } = app.keys;
const QUARANTINE = '/api/v1/platform/quarantine';

const usage = (usage_type: string, more: Record<string, unknown> = {}) =>
  newEvent(USAGE_RECORDED, { tenant_id: 'acme', usage_type, usage_amount: 1, ...more }, new Date());

const sendBatch = (queue: string, events: unknown, messageId = randomUUID()) =>
  app.services.bus.send(queue, [
    { body: Buffer.from(JSON.stringify(events)), messageId, contentType: EVENT_BATCH },
  ]);

const ledger = (type: string) =>
  app.admin.billing<{ event_id: string }[]>`select event_id from usage_records where usage_type = ${type}`;
const written = (type: string, rows: number) =>
  until(
    () => ledger(type),
    (found) => found.length >= rows,
  );

interface Item {
  readonly [field: string]: unknown;
  readonly id: string;
}
const list = async (query: string): Promise<Item[]> =>
  (await app.request('GET', `${QUARANTINE}?limit=200&${query}`, { key: operator })).body.items;
const replay = (id: string, body: unknown = {}) =>
  app.request('POST', `${QUARANTINE}/${id}/replay`, { key: operator, body });

/** Passes messages to the consumer as one delivery. */
const deliver = (bodies: readonly (string | Buffer)[], ids: readonly string[]) =>
  openBatch(
    app.services,
    'usage-events',
    [usageConsumer],
    receivedMessages(bodies, { messageIdArray: ids }),
  ).consume();
const aside = (messageId: string) =>
  app.admin.core<{ reason: string; body: Buffer; properties: Record<string, unknown> }[]>`
    select reason, body, properties from ops.quarantine where message_id = ${messageId} order by id`;

describe('published events', () => {
  it('share messages, and each is written once', async () => {
    const events = Array.from({ length: 120 }, () => usage('shared'));
    expect(packEvents(events).map((packed) => packed.events.length)).toEqual([50, 50, 20]);
    await app.services.bus.publish(events);
    const rows = await written('shared', 120);
    expect(rows.map((row) => row.event_id).sort()).toEqual(events.map(({ id }) => id).sort());
  });

  it('that are sent again in other groups are neither lost nor counted twice', async () => {
    const [a, b, c, d] = Array.from({ length: 4 }, () => usage('regrouped')) as [never, never, never, never];
    for (const group of [[a, b], [a, b, c], [b], [c, d], [a, b]]) await app.services.bus.publish(group); // prettier-ignore
    await app.services.bus.publish([usage('behind_regrouped')]);
    await written('behind_regrouped', 1);
    const rows = await written('regrouped', 4);
    expect(rows).toHaveLength(4);
  });

  it('are all sent except one that is too large for a message, which is named', async () => {
    const [first, last] = [usage('beside_large'), usage('beside_large')];
    const large = usage('large', { resource_id: 'x'.repeat(300_000) });
    const sent = app.services.bus.publish([first, large, last]);
    const error = await sent.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MessageTooLarge);
    expect((error as MessageTooLarge).events).toEqual([large]);
    expect(await written('beside_large', 2)).toHaveLength(2);
  });
});

describe('a batch of another producer', () => {
  it('is written without its bad events, which are quarantined and replayed one by one', async () => {
    const good = Array.from({ length: 3 }, () => usage('beside_bad'));
    const bad = usage('mended_alone', { tenant_id: 'nobody-yet' });
    await sendBatch('usage-events', [good[0], bad, good[1], 'no event', [good[0]], good[2]]);
    await written('beside_bad', 3);
    const items = await until(
      () => list('queue=usage-events&status=open'),
      (found) => found.length >= 3,
    );
    expect(items.map((item) => item['reason']).sort()).toEqual([
      'NOT_A_CLOUD_EVENT',
      'NOT_A_CLOUD_EVENT',
      'UNKNOWN_TENANT',
    ]);
    const item = items.find(({ reason }) => reason === 'UNKNOWN_TENANT');
    const read = await app.request('GET', `${QUARANTINE}/${item?.id ?? ''}`, { key: operator });
    expect(read.body.body).toBe(JSON.stringify(bad));
    await app.admin
      .core`insert into tenants (tenant_id, name, plan_id, has_quota) values ('nobody-yet', 'Late', 'starter', false)`;
    expect((await replay(item?.id ?? '')).status).toBe(202);
    expect(await written('mended_alone', 1)).toHaveLength(1);
    expect(await ledger('beside_bad')).toHaveLength(3);
  });

  it('quarantines each bad event once, with its own bytes, also if the batch is delivered again', async () => {
    const id = randomUUID();
    const odd = '{"half": 1e999, "big":12345678901234567890}';
    const body = `[ ${odd} ,${JSON.stringify(usage('redelivered'))}, ${odd}]`;
    for (let delivery = 0; delivery < 3; delivery += 1) await deliver([body], [id]);
    const rows = await aside(id);
    expect(rows.map((row) => row.body.toString())).toEqual([odd, odd]);
    expect(rows[0]?.properties).toMatchObject({ content_type: 'application/cloudevents+json' });
    expect(await ledger('redelivered')).toHaveLength(1);
  });

  it.each([
    ['is cut off', '[{"specversion":"1.0"},', 'NOT_JSON'],
    ['is not UTF-8', Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), 'NOT_JSON'],
    ['holds more events than a message may', `[${Array(1001).fill('{}').join()}]`, 'TOO_MANY_EVENTS'],
  ])(
    'that %s goes to quarantine as a whole, and does not affect other messages',
    async (what, body, reason) => {
      const id = randomUUID();
      const type = what.replaceAll(' ', '_').toLowerCase();
      await deliver([body, JSON.stringify([usage(type)])], [id, randomUUID()]);
      expect(await aside(id)).toMatchObject([{ reason, body: Buffer.from(body) }]);
      expect(await ledger(type)).toHaveLength(1);
    },
  );

  it('with too many events can be replayed in parts', async () => {
    const id = randomUUID();
    await deliver([`[${Array(1001).fill('{}').join()}]`], [id]);
    const [item] = await app.admin.core<Item[]>`select id from ops.quarantine where message_id = ${id}`;
    const parts = [[usage('in_parts'), usage('in_parts')], [usage('in_parts')]];
    for (const part of parts) expect((await replay(item?.id ?? '', { body: part })).status).toBe(202);
    expect(await written('in_parts', 3)).toHaveLength(3);
  });

  it('that is empty is done', async () => {
    const id = randomUUID();
    await deliver(['[]', JSON.stringify([usage('beside_empty')])], [id, randomUUID()]);
    expect(await aside(id)).toHaveLength(0);
    expect(await ledger('beside_empty')).toHaveLength(1);
  });

  it('is written completely if a delivery has thousands of events', async () => {
    const bodies = Array.from({ length: 30 }, () =>
      JSON.stringify(Array.from({ length: 100 }, () => usage('thousands'))),
    );
    await deliver(
      bodies,
      bodies.map(() => randomUUID()),
    );
    expect(await ledger('thousands')).toHaveLength(3_000);
  });
});

describe('a message in quarantine', () => {
  it('gets a new message id with each replay: no replay is dropped as a duplicate', async () => {
    const client = new ServiceBusClient(app.broker.connectionString);
    afterAll(() => client.close());
    const id = randomUUID();
    await client.createSender('usage-events').sendMessages({ body: Buffer.from('not JSON'), messageId: id });
    const [item] = await until(
      () => app.admin.core<Item[]>`select id from ops.quarantine where message_id = ${id}`,
      (rows) => rows.length === 1,
    );
    const ids: unknown[] = [id];
    for (let n = 0; n < 2; n += 1) {
      const { status, body } = await replay(item?.id ?? '');
      expect(status).toBe(202);
      ids.push(body.message_id);
      // Each replay is refused again and comes back to quarantine. A replay that the broker dropped would not.
      await until(
        () => aside(body.message_id),
        (rows) => rows.length === 1,
      );
    }
    expect(new Set(ids).size).toBe(3);
  });
});

describe('a queue of several event types', () => {
  const asked: string[] = [];
  const ofTenants: [string, string][] = [];
  const ofNobody: string[] = [];
  const tenantConsumer: EventConsumer<{ tenant_id: string; note: string }> = {
    type: 'test.tenant.noted.v1',
    schema: z.object({ tenant_id: z.string(), note: z.string() }),
    maxAgeDays: 30,
    write: async (_, events) => {
      for (const { tenant, data } of events) ofTenants.push([tenant.tenantId, data.note]);
      return Promise.resolve();
    },
  };
  const tenantlessConsumer: TenantlessConsumer<{ account: string }> = {
    type: 'test.vendor.called.v1',
    schema: z.object({ account: z.string() }),
    maxAgeDays: 1,
    tenantless: true,
    write: async (_, events) => {
      for (const { data } of events) ofNobody.push(data.account);
      return Promise.resolve();
    },
  };
  const DAY_MS = 86_400_000;
  const event = (type: string, data: unknown, daysAgo = 0) => ({
    specversion: '1.0',
    id: randomUUID(),
    source: '/vendor',
    type,
    time: new Date(Date.now() - daysAgo * DAY_MS).toISOString(),
    data,
  });

  it('gives each event to the consumer of its type, looks up no tenant for events without one, and quarantines others', async () => {
    const services = {
      ...app.services,
      tenants: {
        find: (tenantId: string) => {
          asked.push(tenantId);
          return app.services.tenants.find(tenantId);
        },
        forget: (tenantId: string) => app.services.tenants.forget(tenantId),
      },
    };
    const consumer = queueConsumer(FIXTURE_QUEUE, [tenantConsumer, tenantlessConsumer]);
    Object.assign(globalThis, { fixture: { consumer, services } });
    const register = fileURLToPath(new URL('../functions/register.ts', import.meta.url));
    const fixtureApp = await buildFixtureApp(
      `import { registerConsumers } from ${JSON.stringify(register)};
       registerConsumers([globalThis.fixture.consumer], () => globalThis.fixture.services);`,
    );
    const fixture = await startFixture(fixtureApp, {
      settings: { SERVICE_BUS_CONNECTION: app.broker.connectionString },
    });
    try {
      await sendBatch(FIXTURE_QUEUE, [
        event('test.tenant.noted.v1', { tenant_id: 'acme', note: 'a' }),
        event('test.vendor.called.v1', { account: 'one' }),
        event('test.unheard-of.v1', { tenant_id: 'acme' }),
        event('test.tenant.noted.v1', { tenant_id: 'nobody', note: 'b' }),
        event('test.vendor.called.v1', { account: 1 }),
        event('test.vendor.called.v1', { account: 'too old' }, 2),
        event('test.tenant.noted.v1', { tenant_id: 'acme', note: 'not too old' }, 2),
      ]);
      await app.services.bus.send(FIXTURE_QUEUE, [
        { body: event('test.vendor.called.v1', { account: 'alone' }), messageId: randomUUID() },
      ]);
      const items = await until(
        () => list(`queue=${FIXTURE_QUEUE}`),
        (found) => found.length >= 4 && ofNobody.length >= 2,
      );
      expect(items.map((item) => item['reason']).sort()).toEqual([
        'INVALID_DATA',
        'INVALID_TIME',
        'UNKNOWN_TENANT',
        'UNKNOWN_TYPE',
      ]);
      expect(ofTenants).toEqual([
        ['acme', 'a'],
        ['acme', 'not too old'],
      ]);
      expect(ofNobody).toEqual(['one', 'alone']);
      expect([...new Set(asked)].sort()).toEqual(['acme', 'nobody']);
    } finally {
      await fixture.host.stop();
      fixtureApp.remove();
    }
  });

  it('is declared for every published type: each goes to a queue with a consumer for it', () => {
    const taken = [
      archiveRecords,
      auditEvents,
      billingChanges,
      stripeEvents,
      usageEvents,
      webhookDeliveries,
    ].flatMap(({ queue, types }) => types.map((type) => [type, queue]));
    expect(taken.map(([type = '']) => [type, queueOf(type)])).toEqual(taken);
    expect(taken.map(([type]) => type).sort()).toEqual(
      [
        ALERT_RESOLVED,
        ALERT_TRIGGERED,
        ARCHIVE_REQUESTED,
        AUDIT_RECORDED,
        BILLING_CHANGED,
        STRIPE_EVENT_RECEIVED,
        USAGE_RECORDED,
        USAGE_THRESHOLD_REACHED,
        WEBHOOK_DELIVERY_DUE,
      ].sort(),
    );
  });

  it('cannot be declared with two consumers of one type', () => {
    expect(() => queueConsumer('q', [tenantConsumer, tenantConsumer])).toThrow('two consumers');
  });
});
