import { setTimeout as sleep } from 'node:timers/promises';
import {
  ServiceBusClient,
  type ServiceBusReceivedMessage,
  type ServiceBusReceiver,
} from '@azure/service-bus';
import type { ServiceBusConfig } from '../host-config.ts';
import { describeError, type HostLog } from '../host-log.ts';
import type { ServiceBusFunction } from '../worker/hosted-function.ts';
import { withTimeout, type Invoker } from '../worker/invocation.ts';
import { createMessageRequest } from './service-bus-message.ts';
import type { RunningTrigger } from '../timer/timer-trigger.ts';

/** The loop in this file retries. The SDK's own retries (3 of 30 s) would hide an outage for minutes. */
const RETRY_OPTIONS = { maxRetries: 0, timeoutInMs: 10_000 };

/** How long one receive waits for a first message. */
const IDLE_WAIT_MS = 60_000;

/** How long a batch waits for more messages after its first. Azure's host (the .NET SDK) waits equally long. */
const FILL_WAIT_MS = 20;

/** The SDK's limit for one receive: its buffer of 2048 messages minus one. */
const SDK_MAX_MESSAGES = 2047;

/** The wait between attempts to reach an unavailable broker. It doubles, but stays short, to notice recovery soon. */
const OUTAGE_WAIT_MS = { first: 200, longest: 2_000 };

/**
 * The wait after a failed batch. Abandoned messages come back at once. Azure's host would retry them without a pause and use
 * all ten deliveries within a second. Here the wait doubles, so that ten deliveries last for half a minute.
 */
const FAILURE_WAIT_MS = { first: 250, longest: 5_000 };

/** How long closing the connection may take: an unavailable broker never answers. */
const CLOSE_LIMIT_MS = 2_000;

/** What a Service Bus trigger needs of the host. */
export interface ServiceBusTriggerOptions {
  readonly fn: ServiceBusFunction;
  readonly connectionString: string;
  readonly config: ServiceBusConfig;
  readonly invoke: Invoker;
  readonly functionTimeoutMs: number;
  readonly verbose: boolean;
  readonly log: HostLog;
}

interface Backoff {
  next(): number;
  reset(): void;
}

function createBackoff(limits: { first: number; longest: number }): Backoff {
  let wait = limits.first;
  return {
    next() {
      const current = wait;
      wait = Math.min(wait * 2, limits.longest);
      return current;
    },
    reset() {
      wait = limits.first;
    },
  };
}

interface Connection {
  readonly client: ServiceBusClient;
  readonly receiver: ServiceBusReceiver;
}

function connect(options: ServiceBusTriggerOptions): Connection {
  const client = new ServiceBusClient(options.connectionString, { retryOptions: RETRY_OPTIONS });
  const { entity } = options.fn;
  const receiverOptions = {
    receiveMode: 'peekLock',
    skipParsingBodyAsJson: true,
    maxAutoLockRenewalDurationInMs: 0,
  } as const;
  const receiver =
    'queue' in entity
      ? client.createReceiver(entity.queue, receiverOptions)
      : client.createReceiver(entity.topic, entity.subscription, receiverOptions);
  return { client, receiver };
}

async function disconnect(connection: Connection): Promise<void> {
  const limit = new AbortController();
  await Promise.race([
    connection.client.close().catch(() => undefined), // a broken connection needs no clean close
    sleep(CLOSE_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => undefined),
  ]);
  limit.abort();
}

/**
 * Waits for a first message, then takes the others that are already there. (A single receive of many would make the SDK wait
 * a second for a full batch.) Empty when no message came.
 */
async function receiveBatch(
  receiver: ServiceBusReceiver,
  options: ServiceBusTriggerOptions,
  signal: AbortSignal,
): Promise<ServiceBusReceivedMessage[]> {
  const { config, fn } = options;
  const messages = await receiver.receiveMessages(1, { maxWaitTimeInMs: IDLE_WAIT_MS, abortSignal: signal });
  if (messages.length === 0 || !fn.batch) return messages;
  const most = Math.min(config.maxMessageBatchSize, SDK_MAX_MESSAGES);
  const fewest = Math.min(config.minMessageBatchSize, most);
  const fillUntil = Date.now() + config.maxBatchWaitTime;
  do {
    const missing = most - messages.length;
    if (missing <= 0) break;
    const wait = messages.length < fewest ? Math.max(fillUntil - Date.now(), FILL_WAIT_MS) : FILL_WAIT_MS;
    try {
      messages.push(...(await receiver.receiveMessages(missing, { maxWaitTimeInMs: wait })));
    } catch {
      break; // the messages received so far are still locked, so process them
    }
  } while (messages.length < fewest && Date.now() < fillUntil && !signal.aborted);
  return messages;
}

/** Completes all messages, at the same time because their outcomes are equal. One that fails comes again after its lock ends. */
async function completeAll(
  receiver: ServiceBusReceiver,
  messages: readonly ServiceBusReceivedMessage[],
): Promise<void> {
  const outcomes = await Promise.allSettled(messages.map((message) => receiver.completeMessage(message)));
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
  const [first] = failed;
  if (first) {
    throw new Error(
      `${failed.length} of ${messages.length} messages could not be completed and will come again.`,
      {
        cause: first.reason,
      },
    );
  }
}

/**
 * Abandons all messages, one after the other. The SDK's AMQP library joins two settlements of one turn into one frame with
 * the first one's outcome, so an abandoned message could be completed and lost.
 */
async function abandonAll(
  receiver: ServiceBusReceiver,
  messages: readonly ServiceBusReceivedMessage[],
): Promise<void> {
  for (const message of messages) await receiver.abandonMessage(message);
}

/** Runs one batch and settles it. Resolves to whether the handler succeeded. */
async function processBatch(
  options: ServiceBusTriggerOptions,
  receiver: ServiceBusReceiver,
  messages: readonly ServiceBusReceivedMessage[],
): Promise<boolean> {
  const { fn, log } = options;
  const count = messages.length === 1 ? '1 message' : `${messages.length} messages`;
  const request = createMessageRequest(fn, messages);
  let done = true;
  try {
    await withTimeout(options.invoke(fn, request), options.functionTimeoutMs);
  } catch (error) {
    done = false;
    log({
      level: 'error',
      source: fn.name,
      message: `Failed (${count}, abandoned): ${describeError(error)}`,
    });
  }
  try {
    if (!done) await abandonAll(receiver, messages);
    else if (fn.autoComplete) await completeAll(receiver, messages);
    if (options.verbose && done) log({ level: 'information', source: fn.name, message: `Done (${count})` });
  } catch (error) {
    log({ level: 'warning', source: fn.name, message: `Settling failed: ${describeError(error)}` });
  }
  return done;
}

/**
 * Receives messages of the function's queue or subscription, one batch at a time. Success completes the batch, unless
 * auto-complete is off. An error abandons the whole batch. Locks are not renewed. While the broker is unavailable, the loop
 * retries with backoff and reports the outage once.
 */
export function startServiceBusTrigger(options: ServiceBusTriggerOptions): RunningTrigger {
  const { fn, log } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const outageWait = createBackoff(OUTAGE_WAIT_MS);
  const failureWait = createBackoff(FAILURE_WAIT_MS);
  const entityName = 'queue' in fn.entity ? fn.entity.queue : `${fn.entity.topic}/${fn.entity.subscription}`;
  let away = false;
  const isStopping = (): boolean => signal.aborted;

  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined);

  async function receiveOnce(connection: Connection): Promise<void> {
    const messages = await receiveBatch(connection.receiver, options, signal);
    outageWait.reset();
    if (away) {
      away = false;
      log({ level: 'information', source: fn.name, message: `Receives from '${entityName}' again.` });
    }
    if (messages.length === 0) return;
    if (await processBatch(options, connection.receiver, messages)) failureWait.reset();
    else await pause(failureWait.next());
  }

  async function loop(): Promise<void> {
    while (!isStopping()) {
      let connection: Connection | undefined;
      try {
        connection = connect(options);
        while (!isStopping()) await receiveOnce(connection);
      } catch (error) {
        if (!isStopping() && !away) {
          away = true;
          const message = `Cannot receive from '${entityName}', keeps trying: ${describeError(error)}`;
          log({ level: 'warning', source: fn.name, message });
        }
      }
      if (connection) await disconnect(connection);
      if (!isStopping()) await pause(outageWait.next());
    }
  }

  const done = loop();
  return {
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
