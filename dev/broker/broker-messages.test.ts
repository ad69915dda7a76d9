import { expect, test } from 'vitest';
import {
  connect,
  countsOf,
  EMPTY,
  receive,
  receiveOne,
  startTestBroker,
  testQueue,
  waitFor,
} from './test-broker.ts';

test('a message arrives as it was sent, with the broker’s own properties', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const before = Date.now();
  await client.createSender('work').sendMessages({
    body: { text: 'grüße', list: [1, 2.5, null] },
    messageId: 'one',
    subject: 'subject',
    contentType: 'application/cloudevents+json',
    correlationId: 'correlation',
    partitionKey: 'partition',
    timeToLive: 60_000,
    applicationProperties: { count: 3, ratio: 0.5, flag: true, text: 'x' },
  });
  const message = await receiveOne(client.createReceiver('work'));
  expect(message).toMatchObject({
    body: { text: 'grüße', list: [1, 2.5, null] },
    messageId: 'one',
    subject: 'subject',
    contentType: 'application/cloudevents+json',
    correlationId: 'correlation',
    partitionKey: 'partition',
    timeToLive: 60_000,
    applicationProperties: { count: 3, ratio: 0.5, flag: true, text: 'x' },
    deliveryCount: 0,
    state: 'active',
  });
  expect(message.sequenceNumber?.toNumber()).toBe(1);
  expect(message.enqueuedTimeUtc?.getTime()).toBeGreaterThanOrEqual(before);
  expect(message.lockedUntilUtc?.getTime()).toBeGreaterThan(before + 50_000);
});

test('a message without an id gets one', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages({ body: 'anonymous', subject: 'kept' });
  const message = await receiveOne(client.createReceiver('work'));
  expect(message.messageId).toMatch(/^[0-9a-f-]{36}$/);
  expect(message).toMatchObject({ body: 'anonymous', subject: 'kept' });
});

test('a batch arrives whole and in order', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const bodies = Array.from({ length: 300 }, (_, index) => `message ${String(index)}`);
  await client.createSender('work').sendMessages(bodies.map((body) => ({ body })));
  const messages = await receive(client.createReceiver('work', { receiveMode: 'receiveAndDelete' }), 300);
  expect(messages.map((message) => message.body as string)).toEqual(bodies);
});

test('receive-and-delete leaves nothing behind', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages([{ body: 1 }, { body: 2 }]);
  await receive(client.createReceiver('work', { receiveMode: 'receiveAndDelete' }), 2);
  expect(countsOf(broker)).toEqual(EMPTY);
});

test('many senders and receivers at once lose and double nothing', async () => {
  const broker = await startTestBroker();
  const ids = Array.from({ length: 2_000 }, (_, index) => `id-${String(index)}`);
  const seen: string[] = [];
  for (let index = 0; index < 3; index += 1) {
    const receiver = connect(broker.connectionString).createReceiver('work');
    receiver.subscribe(
      {
        processMessage: (message) => {
          seen.push(String(message.messageId));
          return Promise.resolve();
        },
        processError: ({ error }) => Promise.reject(error),
      },
      { maxConcurrentCalls: 20 },
    );
  }
  const senders = [1, 2].map(() => connect(broker.connectionString).createSender('work'));
  await Promise.all(
    ids.map(async (messageId, index) => senders[index % 2]?.sendMessages({ body: 'x', messageId })),
  );
  await waitFor('an empty queue', () => countsOf(broker).active === 0);
  expect(seen.sort()).toEqual(ids.sort());
});

test('a duplicate within the window is accepted and dropped, also after the first was consumed', async () => {
  const broker = await startTestBroker(testQueue({ duplicateDetectionWindowMs: 60_000 }));
  const client = connect(broker.connectionString);
  const sender = client.createSender('work');
  await sender.sendMessages({ body: 'first', messageId: 'same' });
  await sender.sendMessages([
    { body: 'again', messageId: 'same' },
    { body: 'other', messageId: 'other' },
  ]);
  const messages = await receive(client.createReceiver('work', { receiveMode: 'receiveAndDelete' }), 2);
  expect(messages.map((message) => message.body as string)).toEqual(['first', 'other']);
  await sender.sendMessages({ body: 'again', messageId: 'same' });
  expect(countsOf(broker)).toEqual(EMPTY);
});

test('a message id is free again after the window', async () => {
  const broker = await startTestBroker(testQueue({ duplicateDetectionWindowMs: 100 }));
  const sender = connect(broker.connectionString).createSender('work');
  await sender.sendMessages({ body: 'first', messageId: 'same' });
  await waitFor('the second one', async () => {
    await sender.sendMessages({ body: 'again', messageId: 'same' });
    return countsOf(broker).active === 2;
  });
});

test('a message over 256 KB is refused, and one sent with it is not', async () => {
  const broker = await startTestBroker();
  const sender = connect(broker.connectionString).createSender('work');
  const [big, small] = await Promise.allSettled([
    sender.sendMessages({ body: 'x'.repeat(257 * 1024) }),
    sender.sendMessages({ body: 'x'.repeat(250 * 1024) }),
  ]);
  expect(big).toMatchObject({ status: 'rejected', reason: { code: 'MessageSizeExceeded' } });
  expect(small.status).toBe('fulfilled');
  expect(countsOf(broker).active).toBe(1);
});

test('large messages pass through many frames unharmed', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const body = Buffer.from(Array.from({ length: 200 * 1024 }, (_, index) => index % 251));
  await client.createSender('work').sendMessages({ body });
  const message = await receiveOne(client.createReceiver('work'));
  expect(body.equals(message.body as Buffer)).toBe(true);
});

test('peeking shows every message in order and takes none', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const sender = client.createSender('work');
  const receiver = client.createReceiver('work');
  await sender.sendMessages([{ body: 'held' }, { body: 'aside' }, { body: 'free' }]);
  const [, aside] = await receive(receiver, 2);
  if (aside === undefined) throw new Error('no message');
  await receiver.deferMessage(aside);
  await sender.scheduleMessages({ body: 'later' }, new Date(Date.now() + 60_000));
  const browser = client.createReceiver('work');
  const first = await browser.peekMessages(2);
  const rest = await browser.peekMessages(10);
  const shown = [...first, ...rest].map((message) => [message.body as string, message.state]);
  expect(shown).toEqual([
    ['held', 'active'],
    ['aside', 'deferred'],
    ['free', 'active'],
    ['later', 'scheduled'],
  ]);
  expect(await browser.peekMessages(10)).toEqual([]);
  expect(countsOf(broker)).toEqual({ ...EMPTY, active: 2, deferred: 1, scheduled: 1, locked: 1 });
});

test('a scheduled message comes at its time and not before', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const at = new Date(Date.now() + 700);
  await client.createSender('work').scheduleMessages({ body: 'later' }, at);
  expect(countsOf(broker)).toEqual({ ...EMPTY, scheduled: 1 });
  const message = await receiveOne(client.createReceiver('work'));
  expect(Date.now()).toBeGreaterThanOrEqual(at.getTime());
  expect(message).toMatchObject({ body: 'later', scheduledEnqueueTimeUtc: at, state: 'active' });
});

test('a scheduled message can be cancelled, and only once', async () => {
  const broker = await startTestBroker();
  const sender = connect(broker.connectionString).createSender('work');
  const sequences = await sender.scheduleMessages([{ body: 1 }, { body: 2 }], new Date(Date.now() + 60_000));
  await sender.cancelScheduledMessages(sequences);
  expect(countsOf(broker)).toEqual(EMPTY);
  await expect(sender.cancelScheduledMessages(sequences)).rejects.toMatchObject({ code: 'MessageNotFound' });
});

test('a message sent with an enqueue time is scheduled', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const at = new Date(Date.now() + 500);
  await client
    .createSender('work')
    .sendMessages([{ body: 'now' }, { body: 'later', scheduledEnqueueTimeUtc: at }]);
  expect(countsOf(broker)).toEqual({ ...EMPTY, active: 1, scheduled: 1 });
  const messages = await receive(client.createReceiver('work'), 2);
  expect(messages.map((message) => message.body as string)).toEqual(['now', 'later']);
});

test('a message is removed after its time to live', async () => {
  const broker = await startTestBroker(testQueue({ defaultTtlMs: 60_000 }));
  const sender = connect(broker.connectionString).createSender('work');
  await sender.sendMessages([{ body: 'short', timeToLive: 200 }, { body: 'default' }]);
  await waitFor('the short one to expire', () => countsOf(broker).active === 1);
});
