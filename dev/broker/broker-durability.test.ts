import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished, expect, test } from 'vitest';
import { z } from 'zod';
import { startBroker } from './broker.ts';
import {
  connect,
  countsOf,
  EMPTY,
  receive,
  receiveOne,
  startTestBroker,
  temporaryFolder,
  testQueue,
  TEST_SAS,
  waitFor,
} from './test-broker.ts';

const QUEUE = 'usage-events'; // the child process serves the backend's own queues

const Ready = z.object({ type: z.literal('ready'), port: z.number(), connectionString: z.string() });

/** Runs the broker as a child process, as the local stack does. Kills it after the test if it still runs. */
async function forkBroker(
  dataDir: string,
): Promise<{ child: ChildProcess; connectionString: string; port: number }> {
  const child = fork(path.join(import.meta.dirname, 'main.ts'), ['--port', '0', '--data', dataDir], {
    env: { ...process.env, COMPLY_BROKER_KEY_NAME: TEST_SAS.keyName, COMPLY_BROKER_KEY: TEST_SAS.key },
    execArgv: [],
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const [message] = (await once(child, 'message')) as [unknown];
  return { child, ...Ready.parse(message) };
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

test('after a kill -9 everything that clients were told is still true', async () => {
  const dataDir = temporaryFolder();
  const first = await forkBroker(dataDir);
  const client = connect(first.connectionString);
  const sender = client.createSender(QUEUE);
  const receiver = client.createReceiver(QUEUE);
  await sender.sendMessages(
    ['done', 'failed', 'dead', 'aside', 'held', 'waiting'].map((body) => ({ body, messageId: body })),
  );
  const [done, failed, dead, aside] = await receive(receiver, 5);
  if (!done || !failed || !dead || !aside) throw new Error('too few messages');
  await receiver.completeMessage(done);
  await receiver.deadLetterMessage(dead, {
    deadLetterReason: 'reason',
    deadLetterErrorDescription: 'description',
  });
  await receiver.deferMessage(aside);
  await receiver.abandonMessage(failed);
  await sender.scheduleMessages({ body: 'later', messageId: 'later' }, new Date(Date.now() + 1_000));
  await kill(first.child);

  const second = await forkBroker(dataDir);
  const again = connect(second.connectionString);
  await again.createSender(QUEUE).sendMessages({ body: 'a duplicate', messageId: 'done' });
  const survivor = again.createReceiver(QUEUE);
  const messages = await receive(survivor, 4);
  expect(messages.map((message) => [message.body as string, message.deliveryCount])).toEqual([
    ['failed', 1],
    ['held', 1], // its lock ended with the broker, which counts as a failed delivery
    ['waiting', 0],
    ['later', 0],
  ]);
  const numbers = messages.map((message) => message.sequenceNumber?.toNumber());
  expect(numbers).toEqual([2, 5, 6, 8]);
  if (aside.sequenceNumber === undefined) throw new Error('a message without a number');
  expect(await survivor.receiveDeferredMessages(aside.sequenceNumber)).toMatchObject([{ body: 'aside' }]);
  const letters = again.createReceiver(QUEUE, { subQueueType: 'deadLetter' });
  expect(await receiveOne(letters)).toMatchObject({ body: 'dead', deadLetterReason: 'reason' });
});

test('a kill -9 under load loses no acknowledged message and brings back no completed one', async () => {
  const dataDir = temporaryFolder();
  const first = await forkBroker(dataDir);
  const client = connect(first.connectionString);
  const sender = client.createSender(QUEUE);
  const receiver = client.createReceiver(QUEUE);
  const acknowledged = new Set<string>();
  const completed = new Set<string>();
  const traffic = new AbortController();
  const sending = (async () => {
    for (let next = 0; !traffic.signal.aborted; next += 10) {
      const batch = Array.from({ length: 10 }, (_, index) => `id-${String(next + index)}`);
      await sender.sendMessages(batch.map((messageId) => ({ body: 'x', messageId })));
      for (const id of batch) acknowledged.add(id);
    }
  })().catch(() => undefined); // the broker was killed
  const receiving = (async () => {
    while (!traffic.signal.aborted) {
      const messages = await receiver.receiveMessages(20, { maxWaitTimeInMs: 1_000 });
      await Promise.all(messages.map((message) => receiver.completeMessage(message)));
      for (const message of messages) completed.add(String(message.messageId));
    }
  })().catch(() => undefined);
  await waitFor('some traffic', () => acknowledged.size > 1_000 && completed.size > 300);
  await kill(first.child);
  traffic.abort();
  await client.close();
  await Promise.all([sending, receiving]);

  const second = await forkBroker(dataDir);
  const taker = connect(second.connectionString).createReceiver(QUEUE, { receiveMode: 'receiveAndDelete' });
  const left = new Set<string>();
  for (;;) {
    const messages = await taker.receiveMessages(500, { maxWaitTimeInMs: 500 });
    if (messages.length === 0) break;
    for (const message of messages) left.add(String(message.messageId));
  }
  expect([...completed].filter((id) => left.has(id))).toEqual([]);
  const lost = [...acknowledged].filter((id) => !left.has(id) && !completed.has(id));
  // The kill may cut off the answer to a completion that was already written: at most one batch of them.
  expect(lost.length).toBeLessThanOrEqual(20);
});

test.each(['SIGTERM', 'SIGINT', 'disconnect'] as const)(
  'the child process stops cleanly on %s',
  async (how) => {
    const dataDir = temporaryFolder();
    const { child, connectionString } = await forkBroker(dataDir);
    await connect(connectionString).createSender(QUEUE).sendMessages({ body: 'kept' });
    const exit = once(child, 'exit');
    if (how === 'disconnect') child.disconnect();
    else child.kill(how);
    expect(await exit).toEqual([0, null]);
    const again = await forkBroker(dataDir);
    expect(await receiveOne(connect(again.connectionString).createReceiver(QUEUE))).toMatchObject({
      body: 'kept',
    });
  },
);

test('sequence numbers and duplicates are remembered when nothing else is left', async () => {
  const dataDir = temporaryFolder();
  const queue = testQueue({ duplicateDetectionWindowMs: 60_000 });
  for (const round of [1, 2, 3]) {
    const broker = await startBroker({ port: 0, dataDir, sas: TEST_SAS, queues: [queue] });
    const client = connect(broker.connectionString);
    const ids = ['same', `round-${String(round)}`];
    await client.createSender('work').sendMessages(ids.map((messageId) => ({ body: messageId, messageId })));
    const fresh = round === 1 ? 2 : 1;
    const messages = await receive(client.createReceiver('work', { receiveMode: 'receiveAndDelete' }), fresh);
    expect(messages.at(-1)?.sequenceNumber?.toNumber()).toBe(round + 1);
    expect(countsOf(broker)).toEqual(EMPTY);
    await client.close();
    await broker.stop();
  }
});

test('a message that is locked at its last delivery when the broker dies is dead-lettered', async () => {
  const dataDir = temporaryFolder();
  const queue = testQueue({ maxDeliveryCount: 1 });
  const first = await startTestBroker(queue, dataDir);
  const client = connect(first.connectionString);
  await client.createSender('work').sendMessages({ body: 'poison' });
  await receiveOne(client.createReceiver('work'));
  await first.stop();
  const second = await startTestBroker(queue, dataDir);
  expect(countsOf(second)).toEqual({ ...EMPTY, deadLettered: 1 });
});

test('the journal of a running broker is compacted and loses nothing', async () => {
  const dataDir = temporaryFolder();
  const journal = path.join(dataDir, 'journal');
  const broker = await startTestBroker(testQueue(), dataDir);
  const client = connect(broker.connectionString);
  const sender = client.createSender('work');
  const receiver = client.createReceiver('work', { receiveMode: 'receiveAndDelete' });
  await sender.sendMessages({ body: 'stays', scheduledEnqueueTimeUtc: new Date(Date.now() + 600_000) });
  let largest = 0;
  await waitFor('a compaction', async () => {
    for (let round = 0; round < 5; round += 1) {
      await sender.sendMessages({ body: 'x'.repeat(200 * 1024) });
      await receiveOne(receiver);
    }
    const { size } = statSync(journal);
    if (size < largest) return true;
    largest = size;
    return false;
  });
  expect(largest).toBeLessThan(16 * 1024 * 1024);
  await sender.sendMessages({ body: 'after' });
  await broker.stop();
  const again = await startTestBroker(testQueue(), dataDir);
  expect(countsOf(again)).toEqual({ ...EMPTY, active: 1, scheduled: 1 });
});

test('the messages of a queue that is no longer defined come back with its definition', async () => {
  const dataDir = temporaryFolder();
  const first = await startTestBroker(testQueue(), dataDir);
  await connect(first.connectionString).createSender('work').sendMessages({ body: 'kept' });
  await first.stop();
  const other = await startTestBroker(testQueue({ name: 'other' }), dataDir);
  await expect(connect(other.connectionString).createReceiver('work').peekMessages(1)).rejects.toMatchObject({
    code: 'MessagingEntityNotFound',
  });
  await other.stop();
  const third = await startTestBroker(testQueue(), dataDir);
  expect(countsOf(third).active).toBe(1);
});

test('a port that is taken is an error', async () => {
  const { port } = await startTestBroker();
  const second = startBroker({ port, dataDir: null, sas: TEST_SAS, queues: [testQueue()] });
  await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('clients continue by themselves when the broker comes back on its port', async () => {
  const dataDir = temporaryFolder();
  const first = await startTestBroker(testQueue(), dataDir);
  const client = connect(first.connectionString, 50);
  const sender = client.createSender('work');
  const seen: unknown[] = [];
  client.createReceiver('work').subscribe({
    processMessage: (message) => Promise.resolve(void seen.push(message.body)),
    processError: () => Promise.resolve(), // the broker was away
  });
  await sender.sendMessages({ body: 'before' });
  await waitFor('the first message', () => seen.length === 1 && countsOf(first).active === 0);
  await first.stop();
  const second = await startBroker({ port: first.port, dataDir, sas: TEST_SAS, queues: [testQueue()] });
  onTestFinished(() => second.stop());
  await sender.sendMessages({ body: 'after' });
  await waitFor('the second message', () => countsOf(second).active === 0);
  expect(seen).toEqual(['before', 'after']);
});
