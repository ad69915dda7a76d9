import type { ServiceBusReceivedMessage } from '@azure/service-bus';
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

// Long enough to act within on a busy machine, short enough to wait for.
const SHORT_LOCK_MS = 1_000;

function sequenceOf(message: ServiceBusReceivedMessage) {
  if (message.sequenceNumber === undefined) throw new Error('a message without a number');
  return message.sequenceNumber;
}

test('complete, abandon, dead-letter and defer each have their effect', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages(['done', 'again', 'bad', 'aside'].map((body) => ({ body })));
  const receiver = client.createReceiver('work');
  const [done, again, bad, aside] = await receive(receiver, 4);
  if (!done || !again || !bad || !aside) throw new Error('too few messages');
  // One at a time: the SDK's own AMQP library joins different outcomes of one turn into the first.
  await receiver.completeMessage(done);
  await receiver.abandonMessage(again, { note: 'tried' });
  await receiver.deadLetterMessage(bad, {
    deadLetterReason: 'Malformed',
    deadLetterErrorDescription: 'no id',
    extra: 'property',
  });
  await receiver.deferMessage(aside, { note: 'later' });
  expect(countsOf(broker)).toEqual({ ...EMPTY, active: 1, deadLettered: 1, deferred: 1 });

  expect(await receiveOne(receiver)).toMatchObject({
    body: 'again',
    deliveryCount: 1,
    applicationProperties: { note: 'tried' },
  });
  const dead = client.createReceiver('work', { subQueueType: 'deadLetter' });
  const letter = await receiveOne(dead);
  expect(letter).toMatchObject({
    body: 'bad',
    deadLetterReason: 'Malformed',
    deadLetterErrorDescription: 'no id',
    applicationProperties: { extra: 'property' },
    messageId: bad.messageId,
  });
  await dead.completeMessage(letter);
  expect(countsOf(broker).deadLettered).toBe(0);
});

test('equal settlements in one turn are each carried out', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages(Array.from({ length: 200 }, (_, body) => ({ body })));
  const receiver = client.createReceiver('work');
  const messages = await receive(receiver, 200);
  await Promise.all(messages.map((message) => receiver.completeMessage(message)));
  expect(countsOf(broker)).toEqual(EMPTY);
});

test('an abandoned message comes before those sent after it', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages([{ body: 1 }, { body: 2 }]);
  const receiver = client.createReceiver('work');
  await receiver.abandonMessage(await receiveOne(receiver));
  expect((await receive(receiver, 2)).map((message) => message.body as number)).toEqual([1, 2]);
});

test('a message that fails its last allowed delivery is dead-lettered with the reason', async () => {
  const broker = await startTestBroker(testQueue({ maxDeliveryCount: 3 }));
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages({ body: 'poison', applicationProperties: { kept: 1 } });
  const receiver = client.createReceiver('work');
  for (const failures of [0, 1, 2]) {
    const message = await receiveOne(receiver);
    expect(message.deliveryCount).toBe(failures);
    await receiver.abandonMessage(message);
  }
  expect(countsOf(broker)).toEqual({ ...EMPTY, deadLettered: 1 });
  const dead = client.createReceiver('work', { subQueueType: 'deadLetter' });
  const letter = await receiveOne(dead);
  expect(letter).toMatchObject({
    body: 'poison',
    deliveryCount: 3,
    deadLetterReason: 'MaxDeliveryCountExceeded',
    applicationProperties: { kept: 1 },
  });
  await dead.abandonMessage(letter);
  expect(await receiveOne(dead)).toMatchObject({ body: 'poison', deliveryCount: 4 });
});

test('a handler that throws every time has its message dead-lettered', async () => {
  const broker = await startTestBroker(testQueue({ maxDeliveryCount: 2 }));
  const client = connect(broker.connectionString);
  let calls = 0;
  client.createReceiver('work').subscribe({
    processMessage: () => {
      calls += 1;
      return Promise.reject(new Error('cannot'));
    },
    processError: () => Promise.resolve(),
  });
  await client.createSender('work').sendMessages({ body: 'poison' });
  await waitFor('the dead letter', () => countsOf(broker).deadLettered === 1);
  expect(calls).toBe(2);
});

test('an expired lock counts as a failed delivery, and its holder can no longer settle', async () => {
  const broker = await startTestBroker(testQueue({ lockDurationMs: SHORT_LOCK_MS }));
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages([{ body: 'slow' }, { body: 'renewed' }]);
  // By default the SDK renews the locks of the messages that it received.
  const holder = client.createReceiver('work', { maxAutoLockRenewalDurationInMs: 0 });
  const [slow, renewed] = await receive(holder, 2);
  if (!slow || !renewed) throw new Error('too few messages');
  const before = renewed.lockedUntilUtc?.getTime();
  const other = connect(broker.connectionString).createReceiver('work');
  const again = await waitFor('the lock to run out', async () => {
    await holder.renewMessageLock(renewed);
    return (await other.peekMessages(1, { fromSequenceNumber: sequenceOf(slow) }))[0]?.deliveryCount === 1;
  }).then(() => receiveOne(other));
  expect(again).toMatchObject({ body: 'slow', deliveryCount: 1 });
  expect(renewed.lockedUntilUtc?.getTime()).toBeGreaterThan(before ?? Infinity);
  // In one turn on purpose: the two settlements are equal, the broker's two answers are not.
  const outcomes = await Promise.allSettled([holder.completeMessage(slow), holder.completeMessage(renewed)]);
  expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'MessageLockLost' } });
  expect(outcomes[1].status).toBe('fulfilled');
  await expect(holder.renewMessageLock(slow)).rejects.toMatchObject({ code: 'MessageLockLost' });
  await other.completeMessage(again);
  expect(countsOf(broker)).toEqual(EMPTY);
});

test('a message stays locked when its receiver is closed, and can still be settled', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages({ body: 'held' });
  const receiver = client.createReceiver('work');
  const message = await receiveOne(receiver);
  const second = client.createReceiver('work');
  await receiver.close();
  expect(await second.receiveMessages(1, { maxWaitTimeInMs: 100 })).toEqual([]);
  await second.completeMessage(message);
  expect(countsOf(broker)).toEqual(EMPTY);
});

test('a deferred message is received only by its sequence number, and settled like any other', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  await client.createSender('work').sendMessages([{ body: 1 }, { body: 2 }, { body: 3 }]);
  const receiver = client.createReceiver('work');
  const messages = await receive(receiver, 3);
  for (const message of messages) await receiver.deferMessage(message);
  const sequences = messages.map(sequenceOf);
  expect(await receiver.receiveMessages(1, { maxWaitTimeInMs: 100 })).toEqual([]);

  const [one, two] = await receiver.receiveDeferredMessages(sequences.slice(0, 2));
  if (!one || !two) throw new Error('too few messages');
  expect(one).toMatchObject({ body: 1, state: 'deferred' });
  await expect(receiver.receiveDeferredMessages(sequences.slice(0, 1))).rejects.toMatchObject({
    code: 'MessageNotFound',
  });
  await receiver.renewMessageLock(one);
  await receiver.completeMessage(one);
  await receiver.deadLetterMessage(two, { deadLetterReason: 'why', deadLetterErrorDescription: 'because' });
  expect(countsOf(broker)).toEqual({ ...EMPTY, deferred: 1, deadLettered: 1 });

  const [three] = await receiver.receiveDeferredMessages(sequences.slice(2));
  if (!three) throw new Error('no message');
  await receiver.abandonMessage(three);
  const taker = client.createReceiver('work', { receiveMode: 'receiveAndDelete' });
  expect(await taker.receiveDeferredMessages(sequences.slice(2))).toMatchObject([
    { body: 3, deliveryCount: 1 },
  ]);
  expect(countsOf(broker)).toEqual({ ...EMPTY, deadLettered: 1 });
  const dead = client.createReceiver('work', { subQueueType: 'deadLetter' });
  expect(await receiveOne(dead)).toMatchObject({ body: 2, deadLetterReason: 'why' });
});

test('a receiver that asks for more than there is gets what there is, and stays usable', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const sender = client.createSender('work');
  const receiver = client.createReceiver('work');
  for (let round = 0; round < 2; round += 1) {
    await sender.sendMessages([{ body: 1 }, { body: 2 }]);
    const messages = await receiver.receiveMessages(50, { maxWaitTimeInMs: 5_000 });
    expect(messages).toHaveLength(2);
    await Promise.all(messages.map((message) => receiver.completeMessage(message)));
    expect(await receiver.receiveMessages(5, { maxWaitTimeInMs: 50 })).toEqual([]);
  }
  expect(countsOf(broker)).toEqual(EMPTY);
});

test('a link keeps working after thousands of messages', async () => {
  const broker = await startTestBroker();
  const client = connect(broker.connectionString);
  const total = 5_000; // more than the 2,048 deliveries that an AMQP session holds unsettled
  const sender = client.createSender('work');
  for (let sent = 0; sent < total; sent += 500) {
    await sender.sendMessages(Array.from({ length: 500 }, () => ({ body: 'x' })));
  }
  const receiver = client.createReceiver('work');
  for (let done = 0; done < total; done += 500) {
    const messages = await receive(receiver, 500);
    await Promise.all(messages.map((message) => receiver.completeMessage(message)));
  }
  expect(countsOf(broker)).toEqual(EMPTY);
});
