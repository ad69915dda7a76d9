import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceBusClient, ServiceBusMessage, ServiceBusSender } from '@azure/service-bus';
import type { Settings } from '../config/settings.ts';
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

/** Sends events to Service Bus. Opens its client on first use. */
export class BusSender {
  readonly #settings: Settings;
  #client: Promise<ServiceBusClient> | undefined;
  readonly #senders = new Map<string, ServiceBusSender>();

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async #sender(queue: string): Promise<ServiceBusSender> {
    this.#client ??= this.#connect();
    const client = await this.#client;
    let sender = this.#senders.get(queue);
    if (sender === undefined) {
      sender = client.createSender(queue);
      this.#senders.set(queue, sender);
    }
    return sender;
  }

  async #connect(): Promise<ServiceBusClient> {
    const { ServiceBusClient: Client } = await import('@azure/service-bus');
    // The outbox retries. The SDK's own three tries of 30 s would block a flush for minutes.
    const options = { retryOptions: { maxRetries: 0, timeoutInMs: 5_000 } };
    const namespace = this.#settings.SERVICE_BUS_CONNECTION__fullyQualifiedNamespace;
    if (this.#settings.SERVICE_BUS_CONNECTION !== undefined)
      return new Client(this.#settings.SERVICE_BUS_CONNECTION, options);
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new Client(namespace ?? '', new DefaultAzureCredential(), options);
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
    const packed = packEvents(events);
    const messages = packed.map(({ message }) => message);
    const tooLarge = new Set(await this.#sendFitting(queue, messages));
    return packed.filter(({ message }) => tooLarge.has(message)).flatMap((one) => one.events);
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
    this.#client ??= this.#connect();
    const receiver = (await this.#client).createReceiver(queue);
    try {
      await receiver.peekMessages(1);
      return performance.now() - start;
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
