import { join } from 'node:path';
import { ServiceBusClient, type ServiceBusMessage } from '@azure/service-bus';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startBroker, type Broker } from '../../broker/broker.ts';
import {
  buildFixtureApp,
  clearEvents,
  eventsOf,
  startFixture,
  until,
  type FixtureApp,
  type FixtureHost,
} from '../fixture-app.ts';

const SOURCE = `
const connection = 'TestBus';
app.serviceBusQueue('batch', { connection, queueName: '%BATCH_QUEUE%', cardinality: 'many', handler: (messages, context) => {
  tell('batch', { messages, metadata: context.triggerMetadata });
} });
app.serviceBusQueue('single', { connection, queueName: 'singles', handler: (message, context) => {
  tell('single', { message, metadata: context.triggerMetadata });
} });
app.serviceBusQueue('failing', { connection, queueName: 'failing', cardinality: 'many', handler: (messages, context) => {
  tell('failing', { messages, counts: context.triggerMetadata.deliveryCountArray, time: Date.now() });
  if ((globalThis as any).failBatches) throw new Error('database is down');
} });
app.serviceBusQueue('manual', { connection, queueName: 'manual', cardinality: 'many', autoCompleteMessages: false, handler: (messages) => {
  tell('manual', messages);
} });
`;

const QUEUES = ['batches', 'singles', 'failing', 'manual'].map((name) => ({
  name,
  maxDeliveryCount: 3,
  lockDurationMs: 60_000,
  duplicateDetectionWindowMs: null,
  defaultTtlMs: null,
}));

interface BatchSeen {
  messages: unknown[];
  metadata: Record<string, unknown>;
}

describe('Service Bus functions', () => {
  const sas = { keyName: 'test', key: Buffer.from('only for this test').toString('base64') };
  let app: FixtureApp;
  let broker: Broker;
  let client: ServiceBusClient;
  let running: FixtureHost[] = [];

  async function start(only?: string): Promise<FixtureHost> {
    const names =
      only === undefined ? [] : ['batch', 'single', 'failing', 'manual'].filter((name) => name !== only);
    const settings = { AzureWebJobsTestBus: broker.connectionString, BATCH_QUEUE: 'batches' };
    const fixture = await startFixture(app, { settings, disable: { names } });
    running.push(fixture);
    return fixture;
  }
  async function send(queue: string, messages: ServiceBusMessage[]): Promise<void> {
    const sender = client.createSender(queue);
    await sender.sendMessages(messages);
    await sender.close();
  }
  const counts = (queue: string): ReturnType<Broker['queueCounts']>[string] => {
    const found = broker.queueCounts()[queue];
    if (!found) throw new Error(`no queue ${queue}`);
    return found;
  };
  const isEmpty = (queue: string): boolean => counts(queue).active === 0;
  const failBatches = (fail: boolean): void => {
    (globalThis as { failBatches?: boolean }).failBatches = fail;
  };

  beforeAll(async () => {
    const serviceBus = { maxMessageBatchSize: 50 };
    app = await buildFixtureApp(SOURCE, { extensions: { serviceBus } });
    broker = await startBroker({ port: 0, dataDir: join(app.dir, 'broker'), sas, queues: QUEUES });
    client = new ServiceBusClient(broker.connectionString, {
      retryOptions: { maxRetries: 1, timeoutInMs: 5_000 },
    });
  });
  beforeEach(() => {
    clearEvents();
    failBatches(false);
  });
  afterEach(async () => {
    await Promise.all(running.map(({ host }) => host.stop()));
    running = [];
  });
  afterAll(async () => {
    await client.close();
    await broker.stop();
    app.remove();
  });

  it('get bodies and metadata in the types that Azure uses', async () => {
    await send('batches', [
      {
        body: Buffer.from('{"Id":1}'),
        messageId: 'm-1',
        correlationId: 'c-1',
        applicationProperties: { Kind: 'a', n: 2 },
      },
      { body: Buffer.from('not json'), messageId: 'm-2', subject: 's-2' },
      { body: Buffer.from('12'), messageId: 'm-3' },
    ]);
    await start('batch');
    const seen = (await until('the batch', () => eventsOf('batch')[0])) as BatchSeen;
    expect(seen.messages).toEqual([{ Id: 1 }, 'not json', 12]);
    expect(seen.metadata).toMatchObject({
      messageIdArray: ['m-1', 'm-2', 'm-3'],
      deliveryCountArray: [1, 1, 1],
      correlationIdArray: ['c-1'], // empty texts are left out, as in Azure
      subjectArray: ['s-2'],
      applicationPropertiesArray: [{ kind: 'a', n: 2 }, {}, {}],
      userPropertiesArray: [{ kind: 'a', n: 2 }, {}, {}],
    });
    const { sequenceNumberArray, enqueuedTimeUtcArray, lockTokenArray } = seen.metadata as Record<
      string,
      unknown[]
    >;
    expect(sequenceNumberArray?.[0]).toEqual({ low: expect.any(Number) as number, high: 0, unsigned: false });
    expect(String(enqueuedTimeUtcArray?.[0])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?$/);
    expect(new Set(lockTokenArray).size).toBe(3);
    await until('all to be completed', () => isEmpty('batches'));
  });

  it('get a big queue in batches of the size in host.json, each message once', async () => {
    const messages = Array.from({ length: 170 }, (_, index) => ({ body: { index } }));
    await send('batches', messages);
    await start('batch');
    await until('all to be completed', () => isEmpty('batches'));
    const sizes = (eventsOf('batch') as BatchSeen[]).map((event) => event.messages.length);
    expect(Math.max(...sizes)).toBe(50);
    const indexes = (eventsOf('batch') as BatchSeen[]).flatMap(
      (event) => event.messages as { index: number }[],
    );
    expect(new Set(indexes.map((item) => item.index)).size).toBe(170);
    expect(indexes).toHaveLength(170);
  });

  it('get messages and their metadata one by one without cardinality many', async () => {
    await send('singles', [{ body: { first: true }, messageId: '17' }, { body: 'plain' }]);
    await start('single');
    await until('both', () => eventsOf('single').length === 2);
    const [first, second] = eventsOf('single') as { message: unknown; metadata: Record<string, unknown> }[];
    expect(first?.message).toEqual({ first: true });
    expect(first?.metadata).toMatchObject({
      messageId: 17,
      deliveryCount: 1,
      sequenceNumber: expect.any(Number) as number,
    });
    expect(second?.message).toBe('plain');
    await until('both to be completed', () => isEmpty('singles'));
  });

  it('have the whole batch abandoned when they throw, with a pause before it comes again', async () => {
    failBatches(true);
    await send('failing', [{ body: 1 }, { body: 2 }, { body: 3 }]);
    const { lines } = await start('failing');
    await until('two attempts', () => eventsOf('failing').length >= 2);
    failBatches(false);
    await until('all to be completed', () => isEmpty('failing'));
    const attempts = eventsOf('failing') as { messages: number[]; counts: number[]; time: number }[];
    expect(attempts.map((attempt) => attempt.counts)).toEqual(
      [
        [1, 1, 1],
        [2, 2, 2],
        [3, 3, 3],
      ].slice(0, attempts.length),
    );
    expect(attempts.map((attempt) => [...attempt.messages].sort())).toEqual(attempts.map(() => [1, 2, 3]));
    expect((attempts[1]?.time ?? 0) - (attempts[0]?.time ?? 0)).toBeGreaterThanOrEqual(200);
    expect(lines.some((line) => line.level === 'error' && line.message.includes('database is down'))).toBe(
      true,
    );
    expect(counts('failing').deadLettered).toBe(0);
  });

  it('have a message that always fails dead-lettered after its last delivery', async () => {
    failBatches(true);
    await send('failing', [{ body: 'poison' }]);
    await start('failing');
    await until('the message to be dead-lettered', () => counts('failing').deadLettered === 1);
    expect(eventsOf('failing')).toHaveLength(3);
  });

  it('keep their messages locked when auto-complete is off', async () => {
    await send('manual', [{ body: 'mine' }]);
    const fixture = await start('manual');
    await until('the message', () => eventsOf('manual').length === 1);
    await fixture.host.stop();
    expect(counts('manual').active).toBe(1);
  });

  it('can be run by hand, also when disabled, with one message of the given text', async () => {
    const { host, base } = await start('none');
    await host.invoke('batch', '{"by":"hand"}');
    const run = await fetch(`${base}/admin/functions/single`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"input":"typed"}',
    });
    expect(run.status).toBe(202);
    await until('the second run', () => eventsOf('single').length === 1);
    expect(eventsOf('batch')).toMatchObject([
      { messages: [{ by: 'hand' }], metadata: { deliveryCountArray: [1] } },
    ]);
    expect(eventsOf('single')).toMatchObject([{ message: 'typed' }]);
  });

  it('continue by themselves when the broker comes back, and report the outage once', async () => {
    await send('batches', [{ body: 'before' }]);
    const { lines } = await start('batch');
    await until('the first message', () => eventsOf('batch').length === 1 && isEmpty('batches'));
    const { port } = broker;
    await broker.stop();
    await until('the outage to be noticed', () => lines.some((line) => line.level === 'warning'));
    broker = await startBroker({ port, dataDir: join(app.dir, 'broker'), sas, queues: QUEUES });
    await send('batches', [{ body: 'after' }]);
    await until('the second message', () => eventsOf('batch').length === 2);
    await until('it to be completed', () => isEmpty('batches'));
    expect(lines.filter((line) => line.message.startsWith('Cannot receive'))).toHaveLength(1);
    expect(lines.filter((line) => line.message.endsWith('again.'))).toHaveLength(1);
  });

  it('start while the broker is away, and stop at once', async () => {
    const { port } = broker;
    await broker.stop();
    const fixture = await start();
    await until(
      'the outage to be noticed',
      () => fixture.lines.filter((line) => line.level === 'warning').length === 4,
    );
    const before = Date.now();
    await fixture.host.stop();
    expect(Date.now() - before).toBeLessThan(5_000);
    broker = await startBroker({ port, dataDir: join(app.dir, 'broker'), sas, queues: QUEUES });
  });
});
