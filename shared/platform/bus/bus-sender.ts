import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceBusClient, ServiceBusMessage, ServiceBusSender } from '@azure/service-bus';
import Long from 'long';
import type { Settings } from '../config/settings.ts';
import { causesOf, inSpan, traceparentOf, type ActiveSpan } from '../telemetry/tracing.ts';
import { queueOf, type CloudEvent } from './events.ts';
import { packEvents } from './pack-events.ts';

/** A broker that does not answer may not confirm a close either, so the wait for it is limited. */
const CLOSE_MS = 1_000;

/** Messages that are too large for their queue, even alone. A retry would not help. Everything else of the call was sent. */
export class MessageTooLarge extends Error {
  override name = 'MessageTooLarge';
  /** The events in those messages. Empty when they were not sent as events. */
  readonly events: readonly CloudEvent[];
  constructor(events: readonly CloudEvent[] = []) {
    super('a message is too large for its queue');
    this.events = events;
  }
}

/** A message whose receiver can find the span that sent it. Azure's own SDKs read and write `Diagnostic-Id`. */
function withTrace(message: ServiceBusMessage, context: ActiveSpan['context']): ServiceBusMessage {
  if (context === undefined) return message;
  const traceparent = traceparentOf(context);
  return {
    ...message,
    applicationProperties: { ...message.applicationProperties, traceparent, 'Diagnostic-Id': traceparent },
  };
}

/** Connects to the namespace of the settings, when it is first used. */
export async function connectBus(settings: Settings): Promise<ServiceBusClient> {
  const { ServiceBusClient: Client } = await import('@azure/service-bus');
  // The outbox retries. The SDK's own three tries of 30 s would block a flush for minutes.
  const options = { retryOptions: { maxRetries: 0, timeoutInMs: 5_000 } };
  const namespace = settings.SERVICE_BUS_CONNECTION__fullyQualifiedNamespace;
  if (settings.SERVICE_BUS_CONNECTION !== undefined)
    return new Client(settings.SERVICE_BUS_CONNECTION, options);
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new Client(namespace ?? '', new DefaultAzureCredential(), options);
}

/** Sends events to Service Bus. Opens its client on first use. */
export class BusSender {
  readonly #settings: Settings;
  #client: Promise<ServiceBusClient> | undefined;
  readonly #senders = new Map<string, ServiceBusSender>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async #sender(queue: string): Promise<ServiceBusSender> {
    this.#client ??= connectBus(this.#settings);
    const client = await this.#client;
    let sender = this.#senders.get(queue);
    if (sender === undefined) {
      sender = client.createSender(queue);
      this.#senders.set(queue, sender);
    }
    return sender;
  }

  /**
   * Publishes events to the queues of their types. Events of one queue share messages. Resolves when the broker has all of
   * them.
   * @throws MessageTooLarge with the events that fit in no message, when the broker has all others. Any other error when the
   * broker did not take all events: some may have arrived. A retry is safe, because consumers count an event once.
   */
  async publish(events: readonly CloudEvent[]): Promise<void> {
    const byQueue = new Map<string, CloudEvent[]>();
    for (const event of events) {
      const queue = queueOf(event.type);
      if (queue === undefined) throw new Error(`no queue takes events of type ${event.type}`);
      const others = byQueue.get(queue);
      if (others === undefined) byQueue.set(queue, [event]);
      else others.push(event);
    }
    const tooLarge = await Promise.all([...byQueue].map(([queue, some]) => this.#publishTo(queue, some)));
    if (tooLarge.some((some) => some.length > 0)) throw new MessageTooLarge(tooLarge.flat());
  }

  /** Returns the events that are too large for the queue. */
  async #publishTo(queue: string, events: readonly CloudEvent[]): Promise<readonly CloudEvent[]> {
    const options = {
      kind: 'producer' as const,
      attributes: { 'messaging.system': 'servicebus', 'messaging.destination.name': queue },
      causes: causesOf(new Set(events.map(({ traceparent }) => traceparent))),
    };
    const publish = async ({ context }: Pick<ActiveSpan, 'context'>): Promise<readonly CloudEvent[]> => {
      const sent = packEvents(events).map((one) => ({ ...one, message: withTrace(one.message, context) }));
      const messages = sent.map(({ message }) => message);
      const tooLarge = new Set(await this.#sendFitting(queue, messages));
      return sent.filter(({ message }) => tooLarge.has(message)).flatMap((one) => one.events);
    };
    // Events of requests that are not exported make no span.
    return options.causes.length === 0
      ? publish({ context: undefined })
      : inSpan(`publish ${queue}`, options, publish);
  }

  /**
   * Sends messages unchanged.
   * @throws MessageTooLarge when the broker has all messages that fit. Any other error when it did not take all of them.
   */
  async send(queue: string, messages: readonly ServiceBusMessage[]): Promise<void> {
    const tooLarge = await this.#sendFitting(queue, messages);
    if (tooLarge.length > 0) throw new MessageTooLarge();
  }

  /** Sends messages, several in one AMQP transfer. Returns the ones that are too large. */
  async #sendFitting(queue: string, messages: readonly ServiceBusMessage[]): Promise<ServiceBusMessage[]> {
    const tooLarge: ServiceBusMessage[] = [];
    try {
      const sender = await this.#sender(queue);
      let batch = await sender.createMessageBatch();
      for (const message of messages) {
        if (batch.tryAddMessage(message)) continue;
        if (batch.count > 0) {
          await sender.sendMessages(batch);
          batch = await sender.createMessageBatch();
          if (batch.tryAddMessage(message)) continue;
        }
        tooLarge.push(message);
      }
      if (batch.count > 0) await sender.sendMessages(batch);
      return tooLarge;
    } catch (error) {
      await this.reset();
      throw error;
    }
  }

  /** The round trip to a queue's broker in ms: one peek. */
  async ping(queue: string): Promise<number> {
    const start = performance.now();
    this.#client ??= connectBus(this.#settings);
    const receiver = (await this.#client).createReceiver(queue);
    try {
      await receiver.peekMessages(1);
      return performance.now() - start;
    } finally {
      await receiver.close().catch(() => undefined);
    }
  }

  /**
   * The first messages of a queue, or of its dead-letter queue, with the time when the broker got them, oldest first. They stay
   * where they are.
   */
  async peek(
    queue: string,
    { dead, limit }: { readonly dead: boolean; readonly limit: number },
  ): Promise<(Date | undefined)[]> {
    this.#client ??= connectBus(this.#settings);
    const receiver = (await this.#client).createReceiver(queue, dead ? { subQueueType: 'deadLetter' } : {});
    try {
      // Without a number, the SDK continues behind the last message that this client has peeked, also with another receiver.
      // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- the SDK's types name another build of this package
      const found = await receiver.peekMessages(limit, { fromSequenceNumber: Long.ZERO });
      return found.map(({ enqueuedTimeUtc }) => enqueuedTimeUtc);
    } finally {
      await receiver.close().catch(() => undefined);
    }
  }

  /** Drops the connection, because a link that failed may stay broken. The next use makes a new connection. */
  async reset(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#senders.clear();
    if (client === undefined) return;
    const closed = client.then((open) => open.close()).catch(() => undefined);
    await Promise.race([closed, delay(CLOSE_MS, undefined, { ref: false })]);
  }
}
