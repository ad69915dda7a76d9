import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  ServiceBusClient,
  type ServiceBusReceivedMessage,
  type ServiceBusReceiver,
} from '@azure/service-bus';
import { onTestFinished } from 'vitest';
import type { QueueDefinition } from '../../shared/platform/bus/queues.ts';
import { startBroker, type Broker, type QueueCounts } from './broker.ts';

/** The key of every broker under test. */
export const TEST_SAS = { keyName: 'test', key: 'a key for tests only' };

// Far longer than any wait on a busy machine takes. Only a test that fails waits this long.
const DEADLINE_MS = 15_000;
const POLL_MS = 10;

/** A queue named `work`. By default its locks last longer than any test. */
export function testQueue(changes: Partial<QueueDefinition> = {}): QueueDefinition {
  return {
    name: 'work',
    maxDeliveryCount: 10,
    lockDurationMs: 60_000,
    duplicateDetectionWindowMs: null,
    defaultTtlMs: null,
    ...changes,
  };
}

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'broker-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A broker that is stopped after the test. */
export async function startTestBroker(queue = testQueue(), dataDir: string | null = null): Promise<Broker> {
  const broker = await startBroker({ port: 0, dataDir, sas: TEST_SAS, queues: [queue] });
  onTestFinished(() => broker.stop());
  return broker;
}

/** A client of the real SDK, closed after the test. By default it never retries. */
export function connect(connectionString: string, maxRetries = 0): ServiceBusClient {
  const client = new ServiceBusClient(connectionString, {
    retryOptions: { maxRetries, retryDelayInMs: 100, timeoutInMs: 5_000 },
  });
  onTestFinished(() => client.close());
  return client;
}

/** Polls until the probe returns a value other than undefined and false. Throws, with `what`, when the time is over. */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`did not happen in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Receives exactly `count` messages; throws if they do not come. */
export async function receive(
  receiver: ServiceBusReceiver,
  count: number,
): Promise<ServiceBusReceivedMessage[]> {
  const messages: ServiceBusReceivedMessage[] = [];
  const deadline = Date.now() + DEADLINE_MS;
  while (messages.length < count) {
    if (Date.now() > deadline)
      throw new Error(`received ${String(messages.length)} of ${String(count)} messages`);
    messages.push(...(await receiver.receiveMessages(count - messages.length, { maxWaitTimeInMs: 1_000 })));
  }
  return messages;
}

/** Receives one message; throws if none comes. */
export async function receiveOne(receiver: ServiceBusReceiver): Promise<ServiceBusReceivedMessage> {
  const [message] = await receive(receiver, 1);
  if (message === undefined) throw new Error('no message');
  return message;
}

/** The message counts of a queue. */
export function countsOf(broker: Broker, name = 'work'): QueueCounts {
  const counts = broker.queueCounts()[name];
  if (counts === undefined) throw new Error(`no queue ${name}`);
  return counts;
}

/** The counts of an empty queue. */
export const EMPTY: QueueCounts = { active: 0, deadLettered: 0, scheduled: 0, deferred: 0, locked: 0 };
