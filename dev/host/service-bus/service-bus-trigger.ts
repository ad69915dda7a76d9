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

/** The SDK's own retries (3 of 30 s) would hide an outage for minutes; the loop here retries instead. */
const RETRY_OPTIONS = { maxRetries: 0, timeoutInMs: 10_000 };

/** How long one wait for a first message lasts before the link is asked afresh. */
const IDLE_WAIT_MS = 60_000;

/** How long a batch is filled up after its first message. The .NET SDK, which Azure's host uses, waits as long. */
const FILL_WAIT_MS = 20;

/** The SDK caps a receive at its buffer of 2048 messages less one. */
const SDK_MAX_MESSAGES = 2047;

/** Between attempts to reach a broker that is away: it doubles, and stays short, so that recovery is noticed soon. */
const OUTAGE_WAIT_MS = { first: 200, longest: 2_000 };

/**
 * After a batch that failed. Abandoned messages come back at once; Azure's host would go round without a pause and use
 * up all ten deliveries within a second. Here the pause doubles, so that they last for half a minute.
 */
const FAILURE_WAIT_MS = { first: 250, longest: 5_000 };

/** How long closing the connection may take: a broker that is away never answers. */
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
    connection.client.close().catch(() => undefined), // already broken: nothing is lost by not closing it well
    sleep(CLOSE_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => undefined),
  ]);
  limit.abort();
}

/**
 * Waits for a first message, then takes what else comes at once. (Asked for many, the SDK would hold a part-filled
 * batch back for a second.) Empty when nothing came.
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
      break; // those that came are still locked for this receiver, and are worth an attempt
    }
  } while (messages.length < fewest && Date.now() < fillUntil && !signal.aborted);
  return messages;
}

/** Completes all. Equal outcomes may be settled together; one that fails comes again when its lock ends. */
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
 * Abandons all, one after the other: the SDK's AMQP library joins two settlements of one turn into one frame with the
 * outcome of the first, so that an abandoned message could be completed, and lost.
 */
async function abandonAll(
  receiver: ServiceBusReceiver,
  messages: readonly ServiceBusReceivedMessage[],
): Promise<void> {
  for (const message of messages) await receiver.abandonMessage(message);
}

/** Runs one batch and settles it. Resolves to whether the handler did its work. */
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
 * Takes messages of the function's queue or subscription, batch by batch, one batch at a time. Success completes the
 * batch (unless auto-complete is off), a throw abandons all of it; locks are not renewed. A broker that is away is
 * reported once, tried again until it is back, and never ends the loop.
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
